"""The few statistics that every decision shares: means, intervals, correlations."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import special

from dpk_core.selection.estimate import CONFIDENCE, Estimate

Matrix = NDArray[np.float64]
SEED = 2206_06067
"""Of a generator that every call makes anew: the same question always has the same answer."""


def is_same_chance(chance: float, other: float, draws: int = 4096) -> bool:
    """Whether two arms' chances of being the best differ by no more than twice the standard error of that difference,
    counted over draws of which each has but one best."""
    return abs(chance - other) <= 2 * math.sqrt((chance + other - (chance - other) ** 2) / draws)


def mean(values: Mapping[int, float]) -> float:
    """Mean over seeds, summed in the seeds' order so that it does not depend on the order of arrival."""
    return math.fsum(values[seed] for seed in sorted(values)) / len(values)


def pooled_correlation(groups: Sequence[tuple[Sequence[float], Sequence[float]]]) -> Estimate | None:
    """Pearson correlation of (x, y) within groups, with Fisher's interval.

    Each group's own means are taken out first: between groups (other students, other data) levels differ for reasons
    that say nothing about teachers. None where it cannot be measured: fewer than four free pairs, or no spread.
    """
    x = np.concatenate([np.asarray(a) - np.mean(a) for a, _ in groups if len(a) > 1] or [np.empty(0)])
    y = np.concatenate([np.asarray(b) - np.mean(b) for _, b in groups if len(b) > 1] or [np.empty(0)])
    # With one group this is the textbook count n; every further group costs one more mean.
    free_pairs = len(x) - sum(len(a) > 1 for a, _ in groups) + 1
    spread = float(np.sqrt((x @ x) * (y @ y)))
    if free_pairs < 4 or spread < 1e-15:
        return None
    value = float(np.clip(x @ y / spread, -1, 1))
    if abs(value) > 1 - 1e-12:
        return Estimate(value=value, low=value, high=value)
    half = float(special.ndtri(0.5 + CONFIDENCE / 2)) / math.sqrt(free_pairs - 3)
    centre = math.atanh(value)
    return Estimate(value=value, low=math.tanh(centre - half), high=math.tanh(centre + half))


def mean_interval(values: Sequence[float]) -> Estimate | None:
    """The mean of independent values with Student's interval; None for fewer than two."""
    count = len(values)
    if count < 2:
        return None
    middle = math.fsum(values) / count
    sd = math.sqrt(math.fsum((value - middle) ** 2 for value in values) / (count - 1))
    half = float(special.stdtrit(count - 1, 0.5 + CONFIDENCE / 2)) * sd / math.sqrt(count)
    return Estimate(value=middle, low=middle - half, high=middle + half)
