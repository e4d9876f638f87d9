"""The queries of calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.database.tables import Decision, SelectionJob

NEWEST = 200
"""Jobs looked back at; more would make the answer slow."""


def finished_jobs(session: Session, dataset: str | None, method: str | None) -> list[SelectionJob]:
    """The newest finished jobs, of one data set or method if given, newest first."""
    asked = SelectionJob.request
    chosen = select(SelectionJob).where(SelectionJob.state == "finished")
    if dataset is not None:
        chosen = chosen.where(asked["dataset"].as_string() == dataset)
    if method is not None:
        chosen = chosen.where(SelectionJob.plan["method", "name"].as_string() == method)
    return list(session.scalars(chosen.order_by(SelectionJob.finished_at.desc(), SelectionJob.id).limit(NEWEST)))


def stated_chances(session: Session, job_ids: Sequence[str]) -> Mapping[str, dict[str, float]]:
    """By job, each teacher's chance of being best as last stated before any teacher's full training was known."""
    made = select(Decision.job_id, Decision.document).where(Decision.job_id.in_(job_ids)).order_by(Decision.number)
    found: dict[str, dict[str, float]] = {}
    for job_id, document in session.execute(made):
        if document["blind"] and document["summary"] is not None:
            found[job_id] = document["summary"]["chances"]
    return found
