"""Facts of decisions that the wire speaks of too. Standard library only: clients import them without numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Purpose = Literal["explore", "confirm", "audit"]
VerdictKind = Literal["best", "tie", "no_teacher", "undecided"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FurthestRung:
    """The furthest rung (0-based; a part `fraction` of the training) that any training of an arm reached, on how many
    seeds, and the mean score there."""

    rung: int
    rungs: int
    fraction: float
    seeds: int
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """A teacher's `chance` of being the best when it was promoted or not, and what that rested on.

    `last`: the last teacher promoted, with its score at the same rung over the seeds of both (`last_score`); where they
    share none, what is expected of both in full training.
    """

    teacher: str
    promoted: bool
    chance: float
    looked: FurthestRung | None
    expected: float
    last: str
    last_score: float | None
    last_expected: float
