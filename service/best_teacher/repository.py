"""The queries of best teacher."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.database.tables import SelectionJob

NEWEST = 50
"""Jobs looked back at; more would make the answer slow."""


def finished_jobs(session: Session, student: str, dataset: str, method: str) -> list[SelectionJob]:
    """The finished jobs that asked this question, newest first."""
    asked = SelectionJob.request
    chosen = select(SelectionJob).where(
        SelectionJob.state == "finished",
        asked["student"].as_string() == student,
        asked["dataset"].as_string() == dataset,
        asked["method"].as_string() == method,
    )
    return list(session.scalars(chosen.order_by(SelectionJob.finished_at.desc(), SelectionJob.id).limit(NEWEST)))
