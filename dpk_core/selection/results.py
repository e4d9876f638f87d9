"""A belief conditioned on a job's results one by one: the covariance of all of them, NxN, by `posterior`'s equations.

For jobs of up to a few hundred results; `causes` says the same for more.

Legend: A arms, N results, P planned results.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from dpk_core.selection.ahead import Ahead, Matrix, Prospects, Training, new_results
from dpk_core.selection.decide.job_results import Arm, Knowledge, Prior, Step

FLAT = 1.0
"""Sd of an unknown that accuracies, being in 0 … 1, cannot contradict."""
LEVEL = 0.5
JITTER = 1e-10
"""Variance that keeps equal results apart in the arithmetic; a thousandth of a point squared."""


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


class ByResults:
    """What `posterior.Model` answers with: `mean_A` and `covariance_AA` of the full accuracies, `misfit`, `freedom`.

    `log_likelihood`: of the results under the prior, in nats, but for what the prior does not change.
    """

    def __init__(self, knowledge: Knowledge) -> None:
        self._knowledge = knowledge
        self._arms = knowledge.ranked
        self._x_A, prior_mean_AR = expected(knowledge)
        self._index = {arm.teacher: index for index, arm in enumerate(self._arms)}
        rows = [
            (index, seed, rung, accuracy)
            for index, arm in enumerate(self._arms)
            for seed, curve in sorted(arm.curves.items())
            for rung, accuracy in enumerate(curve)
        ]
        self._places = _Places.of([row[:3] for row in rows])
        self._reached = {
            (index, seed): len(curve) for index, arm in enumerate(self._arms) for seed, curve in arm.curves.items()
        }
        self._prospects = Prospects(len(self._arms), len(knowledge.rungs), self._reached, self._ahead)
        seen_N = np.array([row[3] for row in rows], dtype=np.float64)
        prior_AA = self._between(self._whole, self._whole)
        if not len(rows):
            self._factor: Matrix | None = None
            self.misfit, self.freedom, self.log_likelihood = 0.0, 0, 0.0
            self.mean_A, self.covariance_AA = prior_mean_AR[:, -1], prior_AA
            return
        self._factor = linalg.cholesky(
            self._of_results(self._places, self._places) + JITTER * np.eye(len(rows)), lower=True
        )
        self._whitened_NA = self._whiten(self._arms_with(self._places).T)
        residual_N = self._whiten(seen_N - prior_mean_AR[self._places.arm, self._places.rung])
        # The level and the gain of every rung below the last are free and cost a result each.
        free = len({*self._places.rung.tolist(), len(knowledge.rungs) - 1})
        self.misfit, self.freedom = float(residual_N @ residual_N), max(0, len(rows) - free)
        self.log_likelihood = -self.misfit / 2 - float(np.log(self._factor.diagonal()).sum())
        self.mean_A = prior_mean_AR[:, -1] + self._whitened_NA.T @ residual_N
        self.covariance_AA = prior_AA - self._whitened_NA.T @ self._whitened_NA

    def change(self, steps: Sequence[Step]) -> Matrix:
        """`Model.change`, with a column for each new result."""
        return self._prospects.change({(self._index[step.teacher], step.seed): step.rung + 1 for step in steps})

    def _ahead(self, ends: Mapping[Training, int]) -> Ahead:
        rows = new_results(self._reached, ends)
        planned = _Places.of([(arm, seed, rung) for (arm, seed), rung in rows])
        with_arms_AP = self._arms_with(planned)
        covariance_PP = self._of_results(planned, planned) + JITTER * np.eye(len(rows))
        if self._factor is not None:
            whitened_NP = self._whiten(self._of_results(self._places, planned))
            with_arms_AP = with_arms_AP - self._whitened_NA.T @ whitened_NP
            covariance_PP = covariance_PP - whitened_NP.T @ whitened_NP
        places = {row: place for place, row in enumerate(rows)}
        return Ahead(places=places, with_arms_AP=with_arms_AP, covariance_PP=covariance_PP)

    def _whiten(self, right: Matrix) -> Matrix:
        assert self._factor is not None
        return np.asarray(linalg.solve_triangular(self._factor, right, lower=True))

    @property
    def _whole(self) -> _Places:
        """Every arm's full training."""
        return _Places.of([(index, 0, len(self._knowledge.rungs) - 1) for index in range(len(self._arms))])

    def _between(self, one: _Places, other: _Places) -> Matrix:
        """Covariance of what arms are believed to come to, as far as it shows at their rungs."""
        prior = self._knowledge.prior
        own_A = np.array([own_spread(prior, arm) ** 2 for arm in self._arms])
        follows_R = prior.slope_spread * np.array(prior.follows)
        along_line = np.outer(follows_R[one.rung] * self._x_A[one.arm], follows_R[other.rung] * self._x_A[other.arm])
        return np.asarray(FLAT**2 + along_line + np.equal.outer(one.arm, other.arm) * own_A[one.arm][:, None])

    def _arms_with(self, results: _Places) -> Matrix:
        """Covariance of every arm's y with results."""
        return self._between(self._whole, results)

    def _of_results(self, one: _Places, other: _Places) -> Matrix:
        """Covariance of results with results, their noise included."""
        prior, last = self._knowledge.prior, len(self._knowledge.rungs) - 1
        same_arm, same_seed = np.equal.outer(one.arm, other.arm), np.equal.outer(one.seed, other.seed)
        later = np.maximum.outer(one.rung, other.rung)
        mismatch_R, tilt_R = np.array(prior.mismatch), np.array(prior.tilt)
        luck = luck_covariance(self._knowledge)[np.ix_(one.rung, other.rung)]
        gain = FLAT**2 * np.equal.outer(one.rung, other.rung) * (later < last)
        own = mismatch_R[later] ** 2 + self._knowledge.picture_spread**2 + same_seed * luck
        tilted = tilt_R[later] ** 2 * np.outer(self._x_A[one.arm], self._x_A[other.arm])
        shared = self._between(one, other) + gain + tilted + same_seed * prior.common_spread**2
        return np.asarray(shared + same_arm * own)


def expected(knowledge: Knowledge) -> tuple[Matrix, Matrix]:
    """Of the ranked arms: the teachers' accuracies about their mean, and what is expected at each rung before any
    result but for what the rung misses of all alike, AxR."""
    arms, prior = knowledge.ranked, knowledge.prior
    x_A = centred(arms)
    known_A = [prior.of(arm.teacher) for arm in arms]
    offset_A = np.array([0.0 if known is None else known.offset for known in known_A])
    return x_A, LEVEL + np.outer(x_A, prior.slope * np.array(prior.follows)) + offset_A[:, None]


def centred(arms: Sequence[Arm]) -> Matrix:
    """The teachers' accuracies about their mean; 0 where there is none."""
    known = [arm.teacher_accuracy for arm in arms if arm.teacher_accuracy is not None]
    centre = float(np.mean(known)) if known else 0.0
    return np.array([0.0 if arm.teacher_accuracy is None else arm.teacher_accuracy - centre for arm in arms])


def luck_covariance(knowledge: Knowledge) -> Matrix:
    """RxR, of what luck a seed has with one arm at the rungs: forgotten by the same part with every doubling."""
    prior, octaves_R = knowledge.prior, np.log2(np.array(knowledge.rungs))
    seed_R = np.hypot(prior.seed_spread, knowledge.picture_luck)
    return np.asarray(np.outer(seed_R, seed_R) * prior.persistence ** np.abs(np.subtract.outer(octaves_R, octaves_R)))


def own_spread(prior: Prior, arm: Arm) -> float:
    """Sd of what an arm adds beyond the line."""
    if arm.teacher is None:
        return prior.baseline_spread
    known = prior.of(arm.teacher)
    return prior.teacher_spread if known is None else known.spread
