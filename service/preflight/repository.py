"""What earlier runs tell of how long trainings take."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.database.tables import Run

NEWEST = 500
"""Runs looked back at, of each method."""


@dataclass(frozen=True, slots=True)
class Timed:
    """A finished run: device `seconds` for so many picture `passes` of its own; teacher None: trained alone. `canvas`:
    height and width that a detector's pictures were fitted into; None of a classifier."""

    purpose: str
    model: str
    teacher: str | None
    seconds: float
    passes: int
    canvas: tuple[int, int] | None = None


def timed(session: Session, dataset: str, methods: Iterable[str]) -> list[Timed]:
    """The newest finished runs on a data set."""
    found: list[Timed] = []
    recipe = Run.spec["training"]["recipe"]
    canvas = recipe["detection"]["canvas"]
    spec = recipe["batch_size"].as_integer(), canvas["height"].as_integer(), canvas["width"].as_integer()
    began = Run.inherited["step"].as_integer()
    for method in sorted(set(methods)):
        rows = select(Run.purpose, Run.student, Run.teacher, Run.seconds, Run.step, began, *spec).where(
            Run.dataset == dataset, Run.method == method, Run.state == "finished"
        )
        for purpose, model, teacher, seconds, step, first, batch, height, width in session.execute(
            rows.order_by(Run.finished_at.desc(), Run.id.desc()).limit(NEWEST)
        ):
            if seconds > 0 and step > (first or 0):
                size = None if height is None else (height, width)
                found.append(Timed(purpose, model, teacher, seconds, (step - (first or 0)) * batch, size))
    return found


def prepared(session: Session, training_keys: Sequence[str]) -> set[str]:
    """Those of the trainings that the store holds finished."""
    rows = select(Run.training_key).where(
        Run.training_key.in_(training_keys), Run.state == "finished", Run.withdrawn.is_(False)
    )
    return set(session.scalars(rows))
