"""The best-arm summary: which teacher may be best, what choosing now may cost, what more results may change.

Fully trained teachers take their marginal from the crossed analysis (Jeffrey's rule), drawn towards their line; the
others keep their regression on it, which comes from unfinished trainings. Legend: A teachers, D draws, P planned
results.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from dpk_core.selection.belief.choosing import Belief, BestArm, believe, best_arm
from dpk_core.selection.belief.crossed import towards_line
from dpk_core.selection.belief.effects import Places, Setting
from dpk_core.selection.decide.full_trainings import FullTrainings, full_trainings
from dpk_core.selection.decide.job_results import Arm, JobResults, Step
from dpk_core.selection.estimate import CONFIDENCE, Estimate
from dpk_core.selection.statistics import SEED, Matrix
from dpk_core.tasks import METRICS

PRACTICAL_MARGIN = METRICS["classification"].margin
"""Differences up to this size (.3 points) are of no practical use, however certain, unless a job says otherwise."""
PLANNING_DRAWS = 256
NORMAL = 1e9
"""Degrees of freedom that count as a normal distribution."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """`ranking`: candidates, best expected first; `expected`: their full scores; `chances`: of being the best, the
    likeliest first; `best_set`: the fewest that hold the best one with `CONFIDENCE`, likeliest first; `regret`: score
    that taking `lead` is expected to lose."""

    ranking: tuple[str, ...]
    expected: dict[str, Estimate]
    chances: dict[str, float]
    lead: str
    best_set: tuple[str, ...]
    regret: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """The belief about the candidates' full scores, in the order of `arms`; `freedom` as in `belief.condition`."""

    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]
    mean_A: Matrix
    covariance_AA: Matrix
    freedom: float
    belief: Belief
    full: FullTrainings | None

    def best(self, margin: float = 0.0) -> BestArm:
        """Which arm is best; `margin` is of `BestArm.near_A`."""
        return best_arm(self.mean_A, self.covariance_AA, self.freedom, margin=margin)

    def moved(self, steps: Sequence[Step]) -> Matrix:
        """Draws (D×A) of what the means would be after the results that `steps` end with."""
        place = {arm.teacher: index for index, arm in enumerate(self.arms)}
        rows = [(place[step.teacher], self.seeds.index(step.seed), step.rung) for step in steps]
        change_AP = self.belief.change(Places(*np.array(rows, dtype=np.int64).T))
        return np.asarray(self.mean_A + _normals(PLANNING_DRAWS, change_AP.shape[1]) @ change_AP.T)


def model(results: JobResults) -> Model:
    """The belief of a job with at least one candidate."""
    # Of equals the more accurate teacher comes first, then by name.
    arms = tuple(sorted(results.candidates, key=lambda arm: -(arm.teacher_score or 0.0)))
    known = [arm.teacher_score for arm in arms if arm.teacher_score is not None]
    usual = float(np.median(known)) if known else 0.5
    score_A = np.array([usual if arm.teacher_score is None else arm.teacher_score for arm in arms])
    setting = Setting(
        teacher_score_A=score_A, fractions=results.rungs, seeds=len(results.seeds),
        sampling_variance=results.sampling_variance,
    )  # fmt: skip
    rows = [
        (place, results.seeds.index(seed), rung, score)
        for place, arm in enumerate(arms)
        for seed, curve in sorted(arm.curves.items())
        for rung, score in enumerate(curve)
    ]
    places = np.array([row[:3] for row in rows], dtype=np.int64).reshape(-1, 3)
    belief = believe(setting, Places(*places.T), np.array([row[3] for row in rows], dtype=np.float64))
    full = full_trainings(arms, results.alone)
    mean_A, covariance_AA, freedom = _with_full(belief, arms, score_A, full)
    return Model(
        arms=arms, seeds=results.seeds, mean_A=mean_A, covariance_AA=covariance_AA, freedom=freedom, belief=belief,
        full=full,
    )  # fmt: skip


def _with_full(
    belief: Belief, arms: Sequence[Arm], score_A: Matrix, full: FullTrainings | None
) -> tuple[Matrix, Matrix, float]:
    """The belief with another marginal for the fully trained (Jeffrey's rule): others keep their regression on them."""
    mean_A, covariance_AA = belief.mean_A, belief.covariance_AA
    if full is None or len(full.teachers) < 2:
        return mean_A, covariance_AA, np.inf
    places = [place for place, arm in enumerate(arms) if arm.teacher in full.teachers]
    mean_F, covariance_FF, freedom = towards_line(full.scores, score_A[places])
    jitter_FF = 1e-12 * np.eye(len(places))
    weights_AF = np.linalg.solve(covariance_AA[np.ix_(places, places)] + jitter_FF, covariance_AA[places]).T
    moved_FF = covariance_FF - covariance_AA[np.ix_(places, places)]
    return (
        mean_A + weights_AF @ (mean_F - mean_A[places]), covariance_AA + weights_AF @ moved_FF @ weights_AF.T, freedom,
    )  # fmt: skip


def summarise(results: JobResults) -> Summary | None:
    """The summary; None without a candidate."""
    return summary_of(model(results)) if results.candidates else None


def summary_of(found: Model, best: BestArm | None = None) -> Summary:
    """The summary of a belief. `best`: where it is known already."""
    best = best or found.best()
    names = [arm.teacher or "" for arm in found.arms]
    order = np.argsort(-np.round(found.mean_A, 9), kind="stable").tolist()
    likeliest = sorted(order, key=lambda index: (-best.chance_A[index], index != best.lead))
    return Summary(
        ranking=tuple(names[index] for index in order),
        expected={names[index]: _expected(found, index) for index in order},
        chances={names[index]: float(best.chance_A[index]) for index in likeliest},
        lead=names[best.lead], best_set=tuple(names[index] for index in best.best_set), regret=best.regret,
    )  # fmt: skip


def _expected(found: Model, index: int) -> Estimate:
    quantile = float(special.stdtrit(min(found.freedom, NORMAL), 0.5 + CONFIDENCE / 2))
    half = quantile * float(np.sqrt(found.covariance_AA[index, index].clip(0)))
    value = float(found.mean_A[index])
    low, middle, high = (min(1.0, max(0.0, each)) for each in (value - half, value, value + half))
    return Estimate(value=middle, low=low, high=high)


def worth(found: Model, steps: Sequence[Step]) -> float:
    """By how much the steps are expected to raise the score of the then best choice (knowledge gradient)."""
    moved_DA = found.moved(steps)
    return max(0.0, float(moved_DA.max(1).mean() - moved_DA.mean(0).max()))


def chance_of_change(found: Model, steps: Sequence[Step], teacher: str) -> float:
    """The chance that after the steps another teacher than `teacher` would be chosen."""
    if not steps:
        return 0.0
    taken = [arm.teacher for arm in found.arms].index(teacher)
    return float((found.moved(steps).argmax(1) != taken).mean())


@functools.lru_cache(maxsize=64)
def _normals(count: int, width: int) -> NDArray[np.float64]:
    """Standard normals in pairs of opposite sign, so that every mean of them is exactly zero."""
    half = np.random.Generator(np.random.PCG64(SEED)).standard_normal((count // 2, width))
    return np.concatenate((half, -half))
