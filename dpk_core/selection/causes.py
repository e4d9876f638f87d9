"""Every result of a job as a sum of independent causes, each a standard normal; the equations are `posterior`'s.

    level · slope · what each arm adds · gain and tilt of each rung · walk of each arm · its pictures · what each seed
    does

What a result has beside them is its seed's own luck, which it shares with the rungs of the same training alone. So all
that a job's results tell is a KxK matrix, however many they are.

Legend: A arms, R rungs, S seeds, K causes, L = A·R + S levels: of each arm at each rung, and what each seed does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import linalg

from dpk_core.selection.ahead import Ahead, Matrix, Prospects, Training, new_results
from dpk_core.selection.decide.job_results import Knowledge, Step
from dpk_core.selection.results import FLAT, JITTER, expected, luck_covariance, own_spread

MOST_PLANNED = 512
"""New results that are looked at one by one."""


class Causes:
    """How much of each cause is in what.

    `full_AK`: in every arm's full accuracy; `levels_LK`: in its level at each rung, and in what each seed does;
    `mean_AR`: what is expected at each rung before any result, the last of which is the full training.
    """

    def __init__(self, knowledge: Knowledge) -> None:
        arms = knowledge.ranked
        self._rungs = len(knowledge.rungs)
        seeds = sorted({*knowledge.seeds, *(seed for arm in arms for seed in arm.curves)})
        self.seeds = {seed: place for place, seed in enumerate(seeds)}
        x_A, self.mean_AR = expected(knowledge)
        self.full_AK, self.levels_LK = _coefficients(knowledge, x_A, len(seeds))
        self._luck_RR = luck_covariance(knowledge)
        self._inverse = [
            np.linalg.inv(self._luck_RR[:count, :count] + JITTER * np.eye(count)) for count in range(self._rungs + 1)
        ]
        self._log_spreads = [-float(np.linalg.slogdet(inverse)[1]) / 2 for inverse in self._inverse]

    def log_spread(self, reached: Mapping[Training, int]) -> float:
        """Half the logarithm of the determinant of the trainings' luck."""
        return sum(self._log_spreads[count] for count in reached.values())

    def information(self, reached: Mapping[Training, int]) -> Matrix:
        """What trainings tell of the causes that went so many rungs, KxK: the inverse of a covariance."""
        of_levels_LL = np.zeros((len(self.levels_LK), len(self.levels_LK)))
        for training, count in reached.items():
            inverse, (rungs, seed) = self._inverse[count], self._places(training, count)
            by_rung = inverse.sum(1)
            of_levels_LL[rungs, rungs] += inverse
            of_levels_LL[rungs, seed] += by_rung
            of_levels_LL[seed, rungs] += by_rung
            of_levels_LL[seed, seed] += by_rung.sum()
        return np.asarray(self.levels_LK.T @ (of_levels_LL @ self.levels_LK))

    def told(self, surprises: Mapping[Training, Matrix]) -> tuple[Matrix, float]:
        """What results tell that differ so from `mean_AR`: their weight on each cause (K), and their squared size."""
        of_levels_L, size = np.zeros(len(self.levels_LK)), 0.0
        for training, surprise in surprises.items():
            rungs, seed = self._places(training, len(surprise))
            weighed = self._inverse[len(surprise)] @ surprise
            of_levels_L[rungs] += weighed
            of_levels_L[seed] += weighed.sum()
            size += float(surprise @ weighed)
        return np.asarray(of_levels_L @ self.levels_LK), size

    def ahead(self, training: Training, reached: int, end: int) -> tuple[Matrix, Matrix]:
        """What the results from rung `reached` to before `end` are made of beyond what those so far tell of their luck,
        PxK, and the covariance of the luck that is left, PxP."""
        rungs, seed = self._places(training, end)
        whole = self.levels_LK[rungs] + self.levels_LK[seed]
        remembered = self._luck_RR[reached:end, :reached] @ self._inverse[reached]
        left = self._luck_RR[reached:end, reached:end] - remembered @ self._luck_RR[:reached, reached:end]
        return whole[reached:] - remembered @ whole[:reached], left

    def _places(self, training: Training, count: int) -> tuple[slice, int]:
        """Where in L the first rungs of a training are, and its seed."""
        arm, seed = training
        return slice(arm * self._rungs, arm * self._rungs + count), len(self.levels_LK) - len(self.seeds) + seed


def _coefficients(knowledge: Knowledge, x_A: Matrix, seeds: int) -> tuple[Matrix, Matrix]:
    prior, arms = knowledge.prior, knowledge.ranked
    count, rungs = len(arms), len(prior.mismatch)
    own, gains = 2, 2 + count
    tilts = gains + rungs - 1
    walks = tilts + rungs
    pictures = walks + count * rungs
    causes = pictures + count + seeds
    each = np.arange(count)
    full_AK = np.zeros((count, causes))
    full_AK[:, 0], full_AK[:, 1] = FLAT, prior.slope_spread * x_A
    full_AK[each, own + each] = [own_spread(prior, arm) for arm in arms]
    levels_ARK = np.repeat(full_AK[:, None], rungs, axis=1)
    levels_ARK[..., 1] *= np.array(prior.follows)
    steps_R, tilts_R = _steps(prior.mismatch), _steps(prior.tilt)
    for rung in range(rungs):
        if rung < rungs - 1:
            levels_ARK[:, rung, gains + rung] = FLAT
        for later in range(rung, rungs):
            levels_ARK[:, rung, tilts + later] = tilts_R[later] * x_A
            levels_ARK[each, rung, walks + each * rungs + later] = steps_R[later]
        levels_ARK[each, rung, pictures + each] = knowledge.picture_spread
    by_seed_SK = np.zeros((seeds, causes))
    by_seed_SK[np.arange(seeds), pictures + count + np.arange(seeds)] = prior.common_spread
    return full_AK, np.concatenate((levels_ARK.reshape(-1, causes), by_seed_SK))


def _steps(spreads: tuple[float, ...]) -> Matrix:
    """Of a walk that has these standard deviations from each rung to its end."""
    variance = np.array([*spreads, 0.0]) ** 2
    return np.asarray(np.sqrt((variance[:-1] - variance[1:]).clip(min=0)))


def slope_evidence(knowledge: Knowledge) -> tuple[float, float]:
    """What the results alone tell of the slope: a precision, and that times the value they point to.

    The belief about the slope after the results less that before them, as both are normal.
    """
    spread, before = knowledge.prior.slope_spread, knowledge.prior.slope
    told, mean = ByCauses(knowledge).slope
    precision = max(0.0, 1 / told**2 - 1 / spread**2)
    return precision, mean / told**2 - before / spread**2


class ByCauses:
    """The same as `results.ByResults`, by way of the causes."""

    def __init__(self, knowledge: Knowledge) -> None:
        self._arms = knowledge.ranked
        self._rungs = len(knowledge.rungs)
        self._index = {arm.teacher: index for index, arm in enumerate(self._arms)}
        causes = self._causes = Causes(knowledge)
        surprises = {
            (index, causes.seeds[seed]): np.array(curve, dtype=np.float64) - causes.mean_AR[index, : len(curve)]
            for index, arm in enumerate(self._arms)
            for seed, curve in sorted(arm.curves.items())
            if curve
        }
        self._reached = {training: len(surprise) for training, surprise in surprises.items()}
        self._precision_KK = np.eye(causes.full_AK.shape[1]) + causes.information(self._reached)
        self._factor_KK = linalg.cholesky(self._precision_KK, lower=True)
        weight_K, size = causes.told(surprises)
        told_K = self._whiten(weight_K)
        self._arms_KA = self._whiten(causes.full_AK.T)
        # The level and the gain of every rung below the last are free and cost a result each.
        free = len({*range(max(self._reached.values(), default=0)), self._rungs - 1})
        self.misfit = max(0.0, size - float(told_K @ told_K))
        spread = causes.log_spread(self._reached) + float(np.log(self._factor_KK.diagonal()).sum())
        self.log_likelihood = -self.misfit / 2 - spread if surprises else 0.0
        self.freedom = max(0, sum(self._reached.values()) - free)
        self.mean_A = causes.mean_AR[:, -1] + self._arms_KA.T @ told_K
        self.covariance_AA = self._arms_KA.T @ self._arms_KA
        self._prospects = Prospects(len(self._arms), self._rungs, self._reached, self._ahead)
        slope_K = self._whiten(np.eye(len(weight_K))[1])
        prior = knowledge.prior
        self.slope = (
            prior.slope_spread * float(np.sqrt(slope_K @ slope_K)),
            prior.slope + prior.slope_spread * float(slope_K @ told_K),
        )
        """Sd and mean of the slope."""

    def change(self, steps: Sequence[Step]) -> Matrix:
        """`Model.change`, with a column for each new result; of very many, what they do together in A columns."""
        ends = {(self._index[step.teacher], self._causes.seeds[step.seed]): step.rung + 1 for step in steps}
        if len(new_results(self._reached, ends)) > MOST_PLANNED:
            return self._change_together(ends)
        return self._prospects.change(ends)

    def _change_together(self, ends: Mapping[Training, int]) -> Matrix:
        more = {training: end for training, end in ends.items() if end > self._reached.get(training, 0)}
        before = {training: self._reached[training] for training in more if training in self._reached}
        told_KK = self._causes.information(more) - self._causes.information(before)
        factor_KK = linalg.cholesky(self._precision_KK + told_KK, lower=True)
        after_KA = linalg.solve_triangular(factor_KK, self._causes.full_AK.T, lower=True)
        lost_AA = self.covariance_AA - after_KA.T @ after_KA
        values, vectors = np.linalg.eigh((lost_AA + lost_AA.T) / 2)
        return np.asarray(vectors * np.sqrt(values.clip(min=0)))

    def _ahead(self, ends: Mapping[Training, int]) -> Ahead:
        places: dict[tuple[Training, int], int] = {}
        made_of, luck = [], []
        for training, end in ends.items():
            first = self._reached.get(training, 0)
            if first < end:
                row_PK, luck_PP = self._causes.ahead(training, first, end)
                made_of.append(row_PK)
                luck.append(luck_PP)
                places |= {(training, rung): len(places) + rung - first for rung in range(first, end)}
        whitened_KP = self._whiten(np.concatenate(made_of).T)
        own_PP = linalg.block_diag(*luck) + JITTER * np.eye(len(places))
        return Ahead(
            places=places,
            with_arms_AP=self._arms_KA.T @ whitened_KP,
            covariance_PP=whitened_KP.T @ whitened_KP + own_PP,
        )

    def _whiten(self, right: Matrix) -> Matrix:
        return np.asarray(linalg.solve_triangular(self._factor_KK, right, lower=True))
