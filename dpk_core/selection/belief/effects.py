"""The model of a training's score: a table of named effects (`EFFECTS`) and priors over rungs (`PRIORS`).

    score of arm i, seed s, rung r = `expected` + sum over effects of column × value + noise,    value ~ N(0, sd²)

Scores are fractions of 1; a rung is a fraction of the full training. Legend: A arms, R rungs, N results, K values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from dpk_core.selection.belief.condition import Indices, indicators
from dpk_core.selection.statistics import Matrix

TRUE_LEVEL = -1  # as a seed: the expected score over seeds and pictures instead of the score of one training


class Effect(NamedTuple):
    """A row of the model; `columns` computes what `column` says."""

    name: str
    symbol: str
    sd: float
    column: str
    source: str


FLAT, SLOPE_SD, TEACHER_SD = 1.0, 0.2, 0.01
EFFECTS = (
    Effect("level", "m", FLAT, "1", "flat: decided by the results alone"),
    Effect("slope", "b", SLOPE_SD, "shown at the rung × teacher's score", "`make bench-prior`, widened"),
    Effect("teacher", "a_i", TEACHER_SD, "1 for the teacher", "students about their line; `choosing.WIDTHS` scales it"),
    Effect("pictures", "v_i", 0.05**0.5, "sampling sd, for each arm", "share of a picture's variance, tables: .05"),
    Effect("rung", "d_r", FLAT, "1 for each rung before the last", "flat"),
    Effect("slope at a rung", "t_r", 0.07, "deviation at the rung × teacher's score", "likelihood on the tables"),
    Effect("seed", "c_s", 0.004, "1 for each seed", "tables: what all arms of a seed share"),
)
SLOPE = 0.2  # expected points of student per point of teacher (`make bench-prior`); the paper's claim enters here only
SCORE_RANGE = 0.15  # teachers' scores count as far as this from their median: the tables have none beyond
TRAINING_SHARE = 0.18  # of a picture's variance that is one training's own: .08 to .33 (`make bench-prior`)
PRIORS = {  # at 1/8, 1/4, 1/2 and all of a training, linear in the logarithm between them; and their source
    "shown": ((0.0, 0.0, 0.45, 1.0), "likelihood on the tables: the slope shows late in a training"),
    "deviation": ((1.0, 1.0, 0.71, 0.0), "likelihood on the tables"),
    "misleading": ((0.003, 0.0025, 0.002, 0.0), "sd; likelihood on the tables, widened"),
    "training": ((0.012, 0.010, 0.006, 0.005), "sd; residuals over seeds on the tables, without pictures' noise"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A job's constants. `teacher_score_A`: of the arms' teachers. `sampling_variance`: of a score over draws of its
    pictures; p(1−p)/V for an accuracy p on V pictures."""

    teacher_score_A: Matrix
    fractions: tuple[float, ...]
    seeds: int
    sampling_variance: float

    def prior_R(self, name: str) -> Matrix:
        """A row of `PRIORS` at the job's rungs."""
        return np.asarray(np.interp(np.log2(self.fractions), (-3, -2, -1, 0), PRIORS[name][0]))


class Places(NamedTuple):
    """Results by index of arm, seed (or `TRUE_LEVEL`) and rung."""

    arm_N: Indices
    seed_N: Indices
    rung_N: Indices


def bounded(teacher_score_A: Matrix) -> Matrix:
    """Teachers' scores about their median, within ±`SCORE_RANGE`."""
    return np.asarray(np.clip(teacher_score_A - np.median(teacher_score_A), -SCORE_RANGE, SCORE_RANGE))


def columns(job: Setting, at: Places) -> list[Matrix]:
    """The columns of each of `EFFECTS`, in its order."""
    arm_NA, rung_NR = indicators(at.arm_N, len(job.teacher_score_A)), indicators(at.rung_N, len(job.fractions))
    score_N, sampled_N = bounded(job.teacher_score_A)[at.arm_N, None], (at.seed_N != TRUE_LEVEL)[:, None]
    return [
        np.ones_like(score_N), job.prior_R("shown")[at.rung_N, None] * score_N, arm_NA,
        arm_NA * job.sampling_variance**0.5 * sampled_N, rung_NR[:, :-1], rung_NR * job.prior_R("deviation") * score_N,
        indicators(at.seed_N, job.seeds),
    ]  # fmt: skip


def expected(job: Setting, at: Places) -> Matrix:
    """Scores expected before any result (N): 1/2, and the slope as far as it shows at the rung."""
    return np.asarray(0.5 + SLOPE * job.prior_R("shown")[at.rung_N] * bounded(job.teacher_score_A)[at.arm_N])


def noise_variance(job: Setting, width: float) -> Matrix:
    """Variance of a result's noise at each rung (R); `width` scales the trainings' sd at unfinished rungs."""
    training_R = np.where(np.array(job.fractions) < 1, width, 1.0) * job.prior_R("training")
    return np.asarray(training_R**2 + job.prior_R("misleading") ** 2 + TRAINING_SHARE * job.sampling_variance)
