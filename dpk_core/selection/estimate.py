"""A value and its interval. Standard library only: clients show scores without numpy."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

CONFIDENCE = 0.9
"""Of every interval shown."""
_REACH = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)
"""Standard errors each way of a normal interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A value with its two-sided interval at `confidence`."""

    value: float
    low: float
    high: float
    confidence: float = CONFIDENCE


def wilson(hits: float, count: int) -> Estimate:
    """The share `hits` / `count` with Wilson's score interval (1927), which needs no large count. `count` >= 1."""
    share, weight = hits / count, _REACH**2 / count
    centre = (share + weight / 2) / (1 + weight)
    half = _REACH / (1 + weight) * math.sqrt(share * (1 - share) / count + weight / (4 * count))
    return Estimate(value=share, low=max(0.0, centre - half), high=min(1.0, centre + half))


def around_score(score: float, error: float) -> Estimate:
    """A score in 0 … 1 with the normal interval of its standard error."""
    return Estimate(value=score, low=max(0.0, score - _REACH * error), high=min(1.0, score + _REACH * error))
