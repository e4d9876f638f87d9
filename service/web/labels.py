"""Where names go in a scatter, so that they cover neither each other nor the marks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

LETTER_WIDTH, LINE_HEIGHT = 7.8, 14.0
"""A generous estimate in CSS pixels for 12 px text, whatever font the reader has."""
_OFFSETS = [(10, 0), (-10, 0), (8, -14), (8, 14), (-8, -14), (-8, 14), (8, -28), (8, 28), (-8, -28), (-8, 28)]
_ABOVE_AND_BELOW = (-14, 14, -28, 28)
"""Where a name goes that is too long for either side of its point."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A point with its error bar in pixels; y grows downwards."""

    x: float
    y: float
    top: float
    bottom: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Offset of a name from its point in pixels."""

    dx: float
    dy: float
    align: Literal["left", "right"]


Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


def place(marks: Sequence[Mark], width: float, height: float, taken: Sequence[Box] = ()) -> list[Place]:
    """One place per mark, chosen in order among a few offsets: the one that overlaps least, with `taken` too."""
    obstacles: list[Box] = [*taken, *_bodies(marks)]
    chosen = []
    for mark in marks:
        possible = [Place(dx=dx, dy=dy, align="left" if dx > 0 else "right") for dx, dy in _OFFSETS]
        possible += [Place(dx=_shifted(mark, width), dy=dy, align="left") for dy in _ABOVE_AND_BELOW]
        best = min(possible, key=lambda spot: _cost(_box(mark, spot), obstacles, width, height))
        obstacles.append(_box(mark, best))
        chosen.append(best)
    return chosen


def along(text: str, y: float, marks: Sequence[Mark], width: float, height: float) -> tuple[Place, Box]:
    """Where the name of a horizontal line at `y` goes: an end of the line, above or below; and the box it takes."""
    long = LETTER_WIDTH * len(text)
    ends: list[tuple[Place, Box]] = []
    for dy in (-9.0, 9.0):
        top, bottom = y + dy - LINE_HEIGHT / 2, y + dy + LINE_HEIGHT / 2
        ends.append((Place(dx=3, dy=dy, align="left"), (3, top, 3 + long, bottom)))
        ends.append((Place(dx=width - 3, dy=dy, align="right"), (width - 3 - long, top, width - 3, bottom)))
    return min(ends, key=lambda end: _cost(end[1], _bodies(marks), width, height))


def _bodies(marks: Sequence[Mark]) -> list[Box]:
    bars: list[Box] = [(mark.x - 6, mark.top, mark.x + 6, mark.bottom) for mark in marks]
    return bars + [(mark.x - 7, mark.y - 7, mark.x + 7, mark.y + 7) for mark in marks]


def _shifted(mark: Mark, width: float) -> float:
    """Offset of the left end of a name that is centred on its point as far as the plot's edges allow."""
    long = LETTER_WIDTH * len(mark.text)
    return max(0.0, min(mark.x - long / 2, width - long)) - mark.x


def _box(mark: Mark, spot: Place) -> Box:
    long = LETTER_WIDTH * len(mark.text)
    left, middle = mark.x + spot.dx - (long if spot.align == "right" else 0), mark.y + spot.dy
    return left, middle - LINE_HEIGHT / 2, left + long, middle + LINE_HEIGHT / 2


def _cost(box: Box, obstacles: Sequence[Box], width: float, height: float) -> float:
    inside = _overlap(box, (0, 0, width, height))
    outside = (box[2] - box[0]) * (box[3] - box[1]) - inside
    return 10 * outside + sum(_overlap(box, obstacle) for obstacle in obstacles)


def _overlap(one: Box, other: Box) -> float:
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, wide) * max(0.0, high)
