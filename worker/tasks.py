"""The tasks. Each takes an id, reads the row anew and may be delivered twice, late or never."""

from __future__ import annotations

from celery import Celery

from service.database.session import transaction
from service.outbox.service import dispatch
from service.scheduling.advance import advance_job
from worker.slots import Slots


def register(app: Celery, slots: Slots | None) -> None:
    """Gives the application its tasks; without slots it serves only what needs no runner."""
    app.task(_advance_job, name="advance_job")
    if slots is not None:
        app.task(slots.wake, name="advance_run")


def _advance_job(job_id: str) -> None:
    with transaction() as session:
        advance_job(session, job_id)
    dispatch()
