"""One colour and one dash pattern per arm, the same in the table and in every chart.

Hues are Okabe and Ito's, which colour-blind readers can tell apart; `style.css` gives each a light and a dark shade.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from service.wire.boards import Row

HUES = 6
_DASHES: tuple[tuple[int, ...], ...] = ((1, 0), (6, 3), (2, 2), (8, 3, 2, 3), (4, 4), (1, 4))
_SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")


@dataclass(frozen=True, slots=True, kw_only=True)
class Paint:
    """How one arm is drawn. `css` names the class of its swatch."""

    css: str
    colour: str
    dash: tuple[int, ...]
    shape: str


NO_TEACHER = Paint(css="arm-none", colour="var(--arm-none)", dash=(1, 0), shape="circle")


def paints(rows: Sequence[Row]) -> dict[int, Paint]:
    """Paint by candidate id, in the order in which the candidates were given, so that ranks do not recolour them.

    Beyond the hues, dashes and shapes tell arms apart.
    """
    teachers = sorted(row.candidate_id for row in rows if row.teacher is not None)
    painted = {identity: paint(position) for position, identity in enumerate(teachers)}
    return painted | {row.candidate_id: NO_TEACHER for row in rows if row.teacher is None}


def paint(position: int) -> Paint:
    """Of the line or arm at this place."""
    turn, hue = divmod(position, HUES)
    kind = turn % len(_DASHES)
    return Paint(css=f"arm-{hue}", colour=f"var(--arm-{hue})", dash=_DASHES[kind], shape=_SHAPES[kind])
