"""What each arm's full student accuracy is believed to be: one joint Gaussian, conditioned exactly.

    y_i     = level + slope·(x_i − mean x) + u_i                    full accuracy under teacher i, of accuracy x_i
    a_isr   = y_i − gain_r + v_ir + c_s + e_i + ε_isr               validation accuracy of seed s at rung r

`level` and every `gain` are unknown beforehand; v is how far a rung misleads about its arm, a walk that ends at 0 in
full training; c is what a seed does to all arms alike; e is what the validation pictures do to one arm on all seeds; ε
is the seed's own luck, remembered in part from rung to rung.

Legend: A arms, N results, P planned results.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, special

from dpk_core.selection.knowledge import Arm, Knowledge, Step
from dpk_core.selection.statistics import CONFIDENCE, Estimate

FLAT = 1.0
"""Sd of an unknown that accuracies, being in 0 … 1, cannot contradict."""
LEVEL = 0.5
JITTER = 1e-10
"""Variance that keeps equal results apart in the arithmetic; a thousandth of a point squared."""
PRIOR_WEIGHT = 6.0
"""Pseudo-observations behind the prior seed spread."""

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Places:
    """Results by arm (index), seed and rung."""

    arm: NDArray[np.int64]
    seed: NDArray[np.int64]
    rung: NDArray[np.int64]

    @staticmethod
    def of(rows: Sequence[tuple[int, int, int]]) -> _Places:
        columns = np.array(rows, dtype=np.int64).reshape(-1, 3).T
        return _Places(*columns)


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
    prior is right.
    """

    def __init__(self, knowledge: Knowledge) -> None:
        self._knowledge = knowledge
        self.arms = knowledge.ranked
        known = [arm.teacher_accuracy for arm in self.arms if arm.teacher_accuracy is not None]
        centre = float(np.mean(known)) if known else 0.0
        self._x_A = np.array([0.0 if a.teacher_accuracy is None else a.teacher_accuracy - centre for a in self.arms])
        self._index = {arm.teacher: index for index, arm in enumerate(self.arms)}
        rows = [
            (index, seed, rung, accuracy)
            for index, arm in enumerate(self.arms)
            for seed, curve in sorted(arm.curves.items())
            for rung, accuracy in enumerate(curve)
        ]
        self._places = _Places.of([row[:3] for row in rows])
        seen_N = np.array([row[3] for row in rows], dtype=np.float64)
        self._seed_variance_R = _seed_variance(knowledge)
        self._prior_AA = self._between_arms(np.arange(len(self.arms)), np.arange(len(self.arms)))
        known_A = [knowledge.prior.of(arm.teacher) for arm in self.arms]
        offset_A = np.array([0.0 if known is None else known.offset for known in known_A])
        prior_mean_A = LEVEL + knowledge.prior.slope * self._x_A + offset_A
        if not len(rows):
            self._factor: Matrix | None = None
            self.misfit, self.freedom = 0.0, 0
            self.posterior = Posterior(arms=self.arms, mean_A=prior_mean_A, covariance_AA=self._prior_AA)
            return
        self._factor = linalg.cholesky(
            self._of_results(self._places, self._places) + JITTER * np.eye(len(rows)), lower=True
        )
        self._whitened_NA = self._whiten(self._arms_with(self._places).T)
        residual_N = self._whiten(seen_N - prior_mean_A[self._places.arm])
        # The level and the gain of every rung below the last are free and cost a result each.
        free = len({*self._places.rung.tolist(), len(knowledge.rungs) - 1})
        self.misfit, self.freedom = float(residual_N @ residual_N), max(0, len(rows) - free)
        self.posterior = Posterior(
            arms=self.arms,
            mean_A=prior_mean_A + self._whitened_NA.T @ residual_N,
            covariance_AA=self._prior_AA - self._whitened_NA.T @ self._whitened_NA,
        )

    def change(self, steps: Sequence[Step]) -> Matrix:
        """How the means would move if the steps were taken: AxP, so that they move by it times P standard normals."""
        planned = _Places.of([row for step in steps for row in self._new_results(step)])
        with_arms_AP = self._arms_with(planned)
        of_planned_PP = self._of_results(planned, planned) + JITTER * np.eye(len(planned.arm))
        if self._factor is not None:
            whitened_NP = self._whiten(self._of_results(self._places, planned))
            with_arms_AP = with_arms_AP - self._whitened_NA.T @ whitened_NP
            of_planned_PP = of_planned_PP - whitened_NP.T @ whitened_NP
        factor_PP = linalg.cholesky(of_planned_PP, lower=True)
        return np.asarray(linalg.solve_triangular(factor_PP, with_arms_AP.T, lower=True).T)

    def _new_results(self, step: Step) -> list[tuple[int, int, int]]:
        index = self._index[step.teacher]
        first = self.arms[index].reached(step.seed)
        return [(index, step.seed, rung) for rung in range(first, step.rung + 1)]

    def _whiten(self, right: Matrix) -> Matrix:
        assert self._factor is not None
        return np.asarray(linalg.solve_triangular(self._factor, right, lower=True))

    def _between_arms(self, one: NDArray[np.int64], other: NDArray[np.int64]) -> Matrix:
        """Covariance of the y of the arms `one` with those of `other`."""
        prior = self._knowledge.prior
        own_A = np.array([self._own_spread(arm) ** 2 for arm in self.arms])
        along_line = prior.slope_spread**2 * np.outer(self._x_A[one], self._x_A[other])
        return np.asarray(FLAT**2 + along_line + np.equal.outer(one, other) * own_A[one][:, None])

    def _own_spread(self, arm: Arm) -> float:
        prior = self._knowledge.prior
        if arm.teacher is None:
            return prior.baseline_spread
        known = prior.of(arm.teacher)
        return prior.teacher_spread if known is None else known.spread

    def _arms_with(self, results: _Places) -> Matrix:
        """Covariance of every arm's y with results."""
        return self._between_arms(np.arange(len(self.arms)), results.arm)

    def _of_results(self, one: _Places, other: _Places) -> Matrix:
        """Covariance of results with results, their noise included."""
        prior, last = self._knowledge.prior, len(self._knowledge.rungs) - 1
        same_arm, same_seed = np.equal.outer(one.arm, other.arm), np.equal.outer(one.seed, other.seed)
        later = np.maximum.outer(one.rung, other.rung)
        apart = np.abs(np.subtract.outer(one.rung, other.rung))
        mismatch_R, seed_R = np.array(prior.mismatch), np.sqrt(self._seed_variance_R)
        luck = np.outer(seed_R[one.rung], seed_R[other.rung]) * prior.persistence**apart
        gain = FLAT**2 * (apart == 0) * (later < last)
        own = mismatch_R[later] ** 2 + prior.picture_spread**2 + same_seed * luck
        shared = self._between_arms(one.arm, other.arm) + gain + same_seed * prior.common_spread**2
        return np.asarray(shared + same_arm * own)


def _seed_variance(knowledge: Knowledge) -> Matrix:
    """Variance over seeds at each rung: the prior's, corrected by one factor that this job's own results show.

    The residual of the arm x seed layout is looked at rung by rung, so what seeds or arms have in common is out of it.
    """
    prior_R = np.array(knowledge.prior.seed_spread) ** 2
    total, freedom = PRIOR_WEIGHT, PRIOR_WEIGHT
    for rung in range(len(knowledge.rungs)):
        rows = [
            {seed: curve[rung] for seed, curve in arm.curves.items() if len(curve) > rung} for arm in knowledge.ranked
        ]
        rows = [row for row in rows if len(row) > 1]
        seeds = sorted(set.intersection(*map(set, rows))) if rows else []
        if len(seeds) < 2 or len(rows) < 2:
            continue
        table = np.array([[row[seed] for seed in seeds] for row in rows])
        residual = table - table.mean(1, keepdims=True) - table.mean(0, keepdims=True) + table.mean()
        # Rungs of one run tell partly the same, so each counts for its share only.
        weight = 1 / len(knowledge.rungs)
        total += weight * float((residual**2).sum()) / prior_R[rung]
        freedom += weight * (len(rows) - 1) * (len(seeds) - 1)
    return np.asarray(prior_R * total / freedom)
