"""The outbox's queries."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, delete, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from service.database.tables import OutboxMessage
from service.database.types import utc_now


def add(session: Session, task: str, subject_id: str) -> None:
    """Writes one message."""
    session.add(OutboxMessage(task=task, subject_id=subject_id, created_at=utc_now(), sent_at=None))


def unsent(session: Session, tasks: Collection[str], limit: int) -> list[OutboxMessage]:
    """The oldest messages to these tasks that nobody has sent yet."""
    rows = select(OutboxMessage).where(OutboxMessage.sent_at.is_(None), OutboxMessage.task.in_(tasks))
    return list(session.scalars(rows.order_by(OutboxMessage.id).limit(limit)))


def is_unsent(subject_id: InstrumentedAttribute[str]) -> ColumnElement[bool]:
    """Whether a row with this id has a message that has not left yet, as while the broker is down."""
    unsent_ids = select(OutboxMessage.id).where(OutboxMessage.sent_at.is_(None))
    return unsent_ids.where(OutboxMessage.subject_id == subject_id).exists()


def mark_sent(session: Session, ids: Sequence[int]) -> None:
    """Another dispatcher may have been faster; its time is kept."""
    rows = update(OutboxMessage).where(OutboxMessage.id.in_(ids), OutboxMessage.sent_at.is_(None))
    session.execute(rows.values(sent_at=utc_now()).execution_options(synchronize_session=False))


def purge(session: Session, *, before: datetime, limit: int) -> None:
    """Deletes at most `limit` messages that were sent before `before`, or written before and never sent.

    Messages are mere wake-ups: a sweep writes again what a run or a job still needs. A task that no process knows any
    more would stay for ever.
    """
    unsent = and_(OutboxMessage.sent_at.is_(None), OutboxMessage.created_at < before)
    rows = select(OutboxMessage.id).where(or_(OutboxMessage.sent_at < before, unsent))
    # What a dispatch marks, or another sweep deletes, at this moment is left to it.
    old = rows.order_by(OutboxMessage.id).limit(limit).with_for_update(skip_locked=True)
    session.execute(delete(OutboxMessage).where(OutboxMessage.id.in_(old)).execution_options(synchronize_session=False))
