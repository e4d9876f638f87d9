"""What each arm's full student accuracy is believed to be: one joint Gaussian, conditioned exactly.

    y_i     = level + slope·x_i + u_i                                     full accuracy under teacher i
    l_ir    = level + (f_r·slope + t_r)·x_i + u_i − gain_r + v_ir         its level at rung r
    a_isr   = l_ir + c_s + e_i + ε_isr                                    validation accuracy of seed s at rung r

x is the teacher's accuracy about the mean of all. `level` and every `gain` are unknown beforehand; f is how much of the
slope shows at a rung, 1 in full training; t, the rung's tilt, and v, how far a rung misleads about its arm, are walks
that end at 0 in full training; c is what a seed does to all arms alike; e is what the validation pictures do to one arm
on all seeds; ε is the seed's own luck, remembered in part from rung to rung.

`results` and `causes` condition on results, few and many; this is what they are asked through.

Legend: A arms, P planned results.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from dpk_core.selection.causes import ByCauses
from dpk_core.selection.decide.job_results import Arm, Knowledge, Step
from dpk_core.selection.results import ByResults
from dpk_core.selection.statistics import CONFIDENCE, Estimate

ONE_BY_ONE = 256
"""Results that a job may come to for each of them to have its row in a covariance; more go by their causes."""

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Posterior:
    """The belief about all ranked arms: `mean` (A) and `covariance` (AxA) in the order of `arms`."""

    arms: tuple[Arm, ...]
    mean_A: Matrix
    covariance_AA: Matrix

    @property
    def teachers(self) -> Posterior:
        """The belief about the arms that have a teacher."""
        kept = taught(self.arms)
        return Posterior(
            arms=tuple(self.arms[index] for index in kept), mean_A=self.mean_A[kept],
            covariance_AA=self.covariance_AA[np.ix_(kept, kept)],
        )  # fmt: skip

    @property
    def ranking(self) -> tuple[Arm, ...]:
        """The arms as a leaderboard ranks them: best expected first; of equals, the more accurate, then by name."""

        def place(index: int) -> tuple[float, float, str]:
            arm = self.arms[index]
            return -round(float(self.mean_A[index]), 9), -(arm.teacher_accuracy or 0.0), arm.teacher or ""

        return tuple(self.arms[index] for index in sorted(range(len(self.arms)), key=place))

    def estimate(self, teacher: str | None) -> Estimate:
        """Full accuracy under `teacher`, cut to 0 … 1."""
        index = self._index(teacher)
        found = _interval(float(self.mean_A[index]), float(self.covariance_AA[index, index]))
        value, low, high = (min(1.0, max(0.0, each)) for each in (found.value, found.low, found.high))
        return Estimate(value=value, low=low, high=high)

    def difference(self, teacher: str | None, other: str | None) -> Estimate:
        """By how much `teacher` is better than `other`; what seeds and pictures do to both is not in it."""
        one, two = self._index(teacher), self._index(other)
        covariance = self.covariance_AA
        variance = covariance[one, one] + covariance[two, two] - 2 * covariance[one, two]
        return _interval(float(self.mean_A[one] - self.mean_A[two]), float(variance))

    def _index(self, teacher: str | None) -> int:
        return [arm.teacher for arm in self.arms].index(teacher)


def taught(arms: Sequence[Arm]) -> list[int]:
    """Where in `arms` those with a teacher are."""
    return [index for index, arm in enumerate(arms) if arm.teacher is not None]


def _interval(value: float, variance: float) -> Estimate:
    half = float(special.ndtri(0.5 + CONFIDENCE / 2)) * float(np.sqrt(max(0.0, variance)))
    return Estimate(value=value, low=value - half, high=value + half)


class Model:
    """The Gaussian of one job, conditioned on its results; answers what more results would change.

    `misfit`: squared distance of the results from what was expected, in standard deviations; about `freedom` where the
    prior is right. `log_likelihood`: of the results under the prior, in nats, but for what no prior changes.
    """

    def __init__(self, knowledge: Knowledge) -> None:
        self.arms = knowledge.ranked
        results = len(self.arms) * len(knowledge.rungs) * len(knowledge.seeds)
        self._belief: ByResults | ByCauses = (ByResults if results <= ONE_BY_ONE else ByCauses)(knowledge)
        self.misfit, self.freedom = self._belief.misfit, self._belief.freedom
        self.log_likelihood = self._belief.log_likelihood
        self.posterior = Posterior(
            arms=self.arms, mean_A=self._belief.mean_A, covariance_AA=self._belief.covariance_AA
        )  # fmt: skip

    def change(self, steps: Sequence[Step]) -> Matrix:
        """How the means would move if the steps were taken: AxP, so that they move by it times P standard normals."""
        return self._belief.change(steps)
