"""The queries of events. An event is a row before anybody hears of it."""

from __future__ import annotations

from typing import Any, get_args

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from service.database.tables import Event, SelectionJob
from service.database.types import utc_now
from service.events.schemas import EventKind
from service.webhooks import repository as webhooks
from service.webhooks.schemas import WebhookEvent

WEBHOOK_KINDS = frozenset(get_args(WebhookEvent))


def record(session: Session, job_id: str, kind: EventKind, data: dict[str, Any]) -> None:
    """Writes an event in the caller's transaction and moves the job's revision.

    The update locks the job's row, so a job's events become visible in the order of their ids; without that a stream
    could pass over an event that was numbered early and committed late.
    """
    session.execute(
        update(SelectionJob).where(SelectionJob.id == job_id).values(revision=SelectionJob.revision + 1),
        execution_options={"synchronize_session": False},
    )
    session.add(event := Event(job_id=job_id, kind=kind, data=data, created_at=utc_now()))
    session.flush()
    if kind in WEBHOOK_KINDS:
        webhooks.announce(session, event)


def after(session: Session, job_id: str, event_id: int, limit: int) -> list[Event]:
    """The job's first `limit` events after `event_id`, in order."""
    chosen = select(Event).where(Event.job_id == job_id, Event.id > event_id).order_by(Event.id).limit(limit)
    return list(session.scalars(chosen))


def announced_runs(session: Session, job_id: str) -> set[str]:
    """The runs whose end the job's events tell of already."""
    chosen = select(Event.data).where(Event.job_id == job_id, Event.kind == "run_finished")
    return {data["run_id"] for data in session.scalars(chosen)}
