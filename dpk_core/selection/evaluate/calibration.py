"""Calibration of stated chances of being best: those before the first full training, against the teacher that won.

A claim can only be judged where it could have failed: it was made before any full result, the stated set leaves
teachers out, and all of it and at least one of the others were trained fully. A job that trained its stated set alone
is left out: nothing in it could have won from outside.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from dpk_core.selection.estimate import Estimate, wilson

EDGES = (0.0, 0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 1.0)
"""Of the bins of chances; a bin holds its lower edge, the last one both."""
LEAST_CLAIMS = 5
"""Below this many jobs a frequency says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a job said and what came out: chances of being best by teacher, and mean full accuracy of the trained."""

    chances: Mapping[str, float]
    trained: Mapping[str, float]

    def stated_set(self, confidence: float) -> tuple[str, ...]:
        """The fewest teachers that hold the best one with `confidence`, likeliest first, equals by name."""
        order = sorted(self.chances, key=lambda teacher: (-self.chances[teacher], teacher))
        held = 0.0
        for count, teacher in enumerate(order, 1):
            held += self.chances[teacher]
            if held >= confidence - 1e-9:
                return tuple(order[:count])
        return tuple(order)

    @property
    def winner(self) -> str:
        """The trained teacher with the best mean; of equals the likelier one."""
        return max(sorted(self.trained), key=lambda teacher: (self.trained[teacher], self.chances.get(teacher, 0.0)))

    def can_be_judged(self, confidence: float) -> bool:
        """Whether the stated set leaves somebody out, and all of it was trained and somebody outside it."""
        stated, trained = set(self.stated_set(confidence)), set(self.trained)
        return bool(stated) and stated <= trained and bool(trained & set(self.chances) - stated)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Teachers whose stated chance lay in low … high: how many, the mean chance, and the part that won."""

    low: float
    high: float
    count: int
    stated: float
    won: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """`claims` judged of `jobs` that said something; `exhaustive` of them had trained every teacher.

    `held`: how often the stated set held the winner; None, and no bins, below LEAST_CLAIMS. `size`: mean of the sets.
    """

    confidence: float
    jobs: int
    claims: int
    exhaustive: int
    held: Estimate | None
    size: float | None
    bins: tuple[Bin, ...]


def calibrate(claims: Sequence[Claim], confidence: float = 0.9) -> Calibration:
    """The record of all claims that can be judged."""
    judged = [claim for claim in claims if claim.can_be_judged(confidence)]
    enough = len(judged) >= LEAST_CLAIMS
    sets = [claim.stated_set(confidence) for claim in judged]
    hits = sum(claim.winner in stated for claim, stated in zip(judged, sets, strict=True))
    return Calibration(
        confidence=confidence,
        jobs=len(claims),
        claims=len(judged),
        exhaustive=sum(set(claim.chances) <= set(claim.trained) for claim in judged),
        held=wilson(hits, len(judged)) if enough else None,
        size=sum(map(len, sets)) / len(sets) if enough else None,
        bins=_bins(judged) if enough else (),
    )


def _bins(judged: Iterable[Claim]) -> tuple[Bin, ...]:
    pairs = [(chance, claim.winner == teacher) for claim in judged for teacher, chance in sorted(claim.chances.items())]
    bins = []
    for low, high in pairwise(EDGES):
        inside = [(chance, won) for chance, won in pairs if low <= chance < high or chance == high == EDGES[-1]]
        if inside:
            stated = sum(chance for chance, _ in inside) / len(inside)
            won = wilson(sum(won for _, won in inside), len(inside))
            bins.append(Bin(low=low, high=high, count=len(inside), stated=stated, won=won))
    return tuple(bins)
