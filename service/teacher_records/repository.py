"""The query of teachers over all jobs."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.database.tables import Candidate, SelectionJob

NEWEST = 200
"""Jobs looked back at; more would make the page slow."""


def finished(session: Session) -> Sequence[SelectionJob]:
    """The newest finished jobs."""
    rows = select(SelectionJob).where(SelectionJob.state == "finished")
    return session.scalars(rows.order_by(SelectionJob.finished_at.desc()).limit(NEWEST)).all()


def candidates(session: Session, job_ids: Sequence[str]) -> Sequence[Candidate]:
    """The teachers of these jobs."""
    rows = select(Candidate).where(Candidate.job_id.in_(job_ids), Candidate.teacher.is_not(None))
    return session.scalars(rows.order_by(Candidate.job_id, Candidate.position)).all()
