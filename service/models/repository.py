"""The queries of uploaded models."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from service.database.tables import Run, UploadedModel

NEWEST = 300
"""Trainings looked back at for a model's page."""


def find(session: Session, name: str) -> UploadedModel | None:
    """The upload of this name."""
    return session.get(UploadedModel, name)


def names(session: Session) -> list[str]:
    """Of all uploads."""
    return list(session.scalars(select(UploadedModel.name)))


def documents(session: Session, wanted: Iterable[str]) -> list[dict[str, Any]]:
    """The documents of the uploads among these names, sorted by name."""
    rows = select(UploadedModel.document).where(UploadedModel.name.in_(sorted(set(wanted))))
    return list(session.scalars(rows.order_by(UploadedModel.name)))


def full_runs(session: Session, which: ColumnElement[bool]) -> Sequence[Run]:
    """The newest finished trainings that came to their end, of or under one model."""
    rows = select(Run).where(which, Run.state == "finished", Run.purpose.in_(("full", "teacher")))
    return session.scalars(rows.order_by(Run.finished_at.desc(), Run.id.desc()).limit(NEWEST)).all()


def teacher_epochs(session: Session, training_keys: Iterable[str]) -> dict[str, int]:
    """How many epochs each of these trainings of a teacher has, as far as its run is still there."""
    rows = select(Run.training_key, Run.spec).where(Run.training_key.in_(sorted(set(training_keys))))
    return {key: int(spec["training"]["recipe"]["epochs"]) for key, spec in session.execute(rows)}
