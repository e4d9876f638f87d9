"""The queries about one run that only its page asks."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.database.tables import Event, JobRun, Measurement, Run, SelectionJob

MOST_JOBS = 100
MOST_NOTICES = 200


def find(session: Session, run_id: str) -> Run | None:
    """The run's row. Ids are letters and digits; Postgres would refuse to look for some other texts."""
    return session.get(Run, run_id) if run_id.isalnum() else None


def measurements(session: Session, training_key: str, last_epoch: int) -> Sequence[Measurement]:
    """What a training measured up to an epoch, whichever of its runs did; later runs last."""
    rows = select(Measurement).join(Run, Run.id == Measurement.run_id)
    mine = rows.where(Run.training_key == training_key, Measurement.epoch <= last_epoch)
    return session.scalars(mine.order_by(Measurement.epoch, Run.created_at, Measurement.name)).all()


def links(session: Session, run_id: str) -> Sequence[tuple[JobRun, SelectionJob]]:
    """The jobs that the run is a part of, the oldest first."""
    rows = select(JobRun, SelectionJob).join(SelectionJob, SelectionJob.id == JobRun.job_id)
    mine = rows.where(JobRun.run_id == run_id).order_by(SelectionJob.created_at, SelectionJob.id).limit(MOST_JOBS)
    return [(link, job) for link, job in session.execute(mine)]


def notices(session: Session, job_id: str) -> Sequence[Event]:
    """Events of a job while its runs went on, in order."""
    rows = select(Event).where(Event.job_id == job_id, Event.kind == "notice")
    return session.scalars(rows.order_by(Event.id).limit(MOST_NOTICES)).all()
