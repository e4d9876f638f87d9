"""What results that are not there yet would change: covariances worked out once a seed, of which many sets are taken.

Legend: A arms, P planned results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

Matrix = NDArray[np.float64]
Training = tuple[int, int]
"""An arm by its place, and a seed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """New results by their training and rung: their covariance with the arms and with each other, given those that are
    there."""

    places: Mapping[tuple[Training, int], int]
    with_arms_AP: Matrix
    covariance_PP: Matrix


def new_results(reached: Mapping[Training, int], ends: Mapping[Training, int]) -> list[tuple[Training, int]]:
    """Those on the way to `ends` (rungs to go in all) of trainings that have gone `reached`: training and rung."""
    return [(training, rung) for training, end in ends.items() for rung in range(reached.get(training, 0), end)]


class Prospects:
    """Answers what sets of new results would change. `reached`: how many rungs each training has gone; `work_out`: what
    is ahead of trainings up to before a rung."""

    def __init__(
        self, arms: int, rungs: int, reached: Mapping[Training, int],
        work_out: Callable[[Mapping[Training, int]], Ahead],
    ) -> None:  # fmt: skip
        self._arms, self._rungs, self._reached, self._work_out = arms, rungs, reached, work_out
        self._of_seed: dict[int, Ahead] = {}

    def change(self, ends: Mapping[Training, int]) -> Matrix:
        """How the arms' means would move, AxP: by it times P standard normals."""
        planned = new_results(self._reached, ends)
        if not planned:
            return np.zeros((self._arms, 0))
        ahead = self._ahead(ends)
        places = [ahead.places[each] for each in planned]
        factor_PP = linalg.cholesky(ahead.covariance_PP[np.ix_(places, places)], lower=True, check_finite=False)
        moved_PA = linalg.solve_triangular(factor_PP, ahead.with_arms_AP[:, places].T, lower=True, check_finite=False)
        return np.asarray(moved_PA.T)

    def _ahead(self, ends: Mapping[Training, int]) -> Ahead:
        """For one seed all that is ahead of it at once."""
        seeds = {seed for _, seed in ends}
        if len(seeds) != 1:
            return self._work_out(ends)
        (seed,) = seeds
        if seed not in self._of_seed:
            everything = dict.fromkeys(((index, seed) for index in range(self._arms)), self._rungs)
            self._of_seed[seed] = self._work_out(everything)
        return self._of_seed[seed]
