"""The query of calibration."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.database.documents import if_readable
from service.database.tables import SelectionJob
from service.scheduling.outcome import Outcome, Stated

NEWEST = 200
"""Jobs looked back at; more would make the answer slow."""


def stated(session: Session, dataset: str | None, method: str | None) -> list[Stated]:
    """What the newest finished jobs stated, of one data set or method if given, newest first."""
    job = SelectionJob
    chosen = select(job.outcome).where(job.state == "finished")
    if dataset is not None:
        chosen = chosen.where(job.dataset == dataset)
    if method is not None:
        chosen = chosen.where(job.method == method)
    documents = session.scalars(chosen.order_by(job.finished_at.desc()).limit(NEWEST))
    outcomes = [if_readable(Outcome, each) for each in documents]
    return [each.stated for each in outcomes if each is not None and each.stated is not None]
