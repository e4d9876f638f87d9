"""How strongly two things go together across teachers: Pearson, Spearman and Kendall τ-b, with intervals.

Pairs come in groups (other students, other recipes), whose levels differ for reasons that say nothing about teachers:
only what varies within a group counts, and every group beyond the first costs one pair (`free_pairs`). With one group
all three are the textbook's. Intervals are closed forms on Fisher's scale, z = atanh r, with these variances:

    Pearson    1 / (n − 3)                 Fisher 1921
    Spearman   (1 + ρ²/2) / (n − 3)        Bonett and Wright 2000
    Kendall    .437 / (n − 4)              Fieller, Hartley and Pearson 1957

A perfect order has no finite z. For its interval a rank coefficient counts as half a step of its scale short of ±1, so
that few pairs in perfect order are not taken for certainty.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

from dpk_core.selection.estimate import CONFIDENCE, Estimate
from dpk_core.selection.statistics import pooled_correlation

Statistic = Literal["pearson", "spearman", "kendall"]
Points = tuple[Sequence[float], Sequence[float]]
"""x and y of a group's teachers."""
Vector = NDArray[np.float64]

LEAST_PAIRS: dict[Statistic, int] = {"pearson": 4, "spearman": 4, "kendall": 5}
"""Below this many free pairs the interval does not exist."""


def associate(groups: Sequence[Points], statistic: Statistic) -> Estimate | None:
    """The coefficient within groups with its interval; None below LEAST_PAIRS or where x or y never differ."""
    if free_pairs(groups) < LEAST_PAIRS[statistic]:
        return None
    return _MEASURES[statistic](groups)


def free_pairs(groups: Sequence[Points]) -> int:
    """Pairs in groups of at least two, less one for every such group beyond the first."""
    sizes = [len(x) for x, _ in groups if len(x) > 1]
    return sum(sizes) - len(sizes) + 1 if sizes else 0


def spearman(groups: Sequence[Points]) -> Estimate | None:
    """Pearson's coefficient of ranks within groups, ties sharing theirs; scaled so that groups count by their pairs."""
    ranked = [(_ranks(x), _ranks(y)) for x, y in groups if len(x) > 1]
    pooled = pooled_correlation(ranked)
    if pooled is None:
        return None
    free, value = free_pairs(groups), pooled.value
    return _interval(value, half_step=6 / (free * (free**2 - 1)), variance=(1 + value**2 / 2) / (free - 3))


def kendall(groups: Sequence[Points]) -> Estimate | None:
    """τ-b over all pairs of teachers of the same group."""
    score = untied_x = untied_y = 0.0
    for x, y in groups:
        signs_x, signs_y = _signs(x), _signs(y)
        score += float(signs_x @ signs_y)
        untied_x, untied_y = untied_x + float(signs_x @ signs_x), untied_y + float(signs_y @ signs_y)
    if untied_x * untied_y == 0:
        return None
    free = free_pairs(groups)
    value = score / math.sqrt(untied_x * untied_y)
    return _interval(value, half_step=2 / (free * (free - 1)), variance=0.437 / (free - 4))


_MEASURES: dict[Statistic, Callable[[Sequence[Points]], Estimate | None]] = {
    "pearson": pooled_correlation, "spearman": spearman, "kendall": kendall
}  # fmt: skip


def _interval(value: float, *, half_step: float, variance: float) -> Estimate:
    reach = float(special.ndtri(0.5 + CONFIDENCE / 2)) * math.sqrt(variance)
    centre = math.atanh(max(half_step - 1, min(1 - half_step, value)))
    low, high = math.tanh(centre - reach), math.tanh(centre + reach)
    return Estimate(value=value, low=min(low, value), high=max(high, value))


def _ranks(values: Sequence[float]) -> list[float]:
    """Mean ranks of ties, over n + 1. `scipy.stats.rankdata` gives them too, but its import takes half a second."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return [float(rank) / (len(values) + 1) for rank in (last - (count - 1) / 2)[place]]


def _signs(values: Sequence[float]) -> Vector:
    """Of the differences of all pairs."""
    column = np.asarray(values, dtype=np.float64)
    first, second = np.triu_indices(len(column), k=1)
    return np.asarray(np.sign(column[first] - column[second]), dtype=np.float64)
