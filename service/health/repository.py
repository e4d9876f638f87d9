"""The queries of the health checks."""

from __future__ import annotations

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from service.database.tables import Run, Worker
from service.runs.repository import heard_of


def schema_revision(session: Session) -> str | None:
    """The migration the database is at."""
    return session.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def runs_in(session: Session, state: str) -> int:
    """How many runs are in `state`."""
    return session.scalar(select(func.count()).select_from(Run).where(Run.state == state)) or 0


def queues_served(session: Session, within_seconds: float) -> set[str]:
    """The queues of the workers that were heard of in the last `within_seconds`."""
    rows = session.scalars(select(Worker.queues).where(heard_of(within_seconds)))
    return {queue for queues in rows for queue in queues.split(",")}


def troubles(session: Session, within_seconds: float) -> list[str | None]:
    """What troubles each training worker that was heard of in the last `within_seconds`, sorted by worker."""
    rows = select(Worker.trouble).where(heard_of(within_seconds), Worker.slots > 0)
    return list(session.scalars(rows.order_by(Worker.id)))


def reported_troubles(session: Session, within_seconds: float) -> list[str]:
    """What troubles any worker that was heard of in the last `within_seconds`, sorted by worker."""
    rows = select(Worker.trouble).where(heard_of(within_seconds), Worker.trouble.is_not(None))
    return [trouble for trouble in session.scalars(rows.order_by(Worker.id)) if trouble is not None]


def slots(session: Session, within_seconds: float) -> int:
    """Runs that the workers heard of in the last `within_seconds` can carry out at the same time."""
    return session.scalar(select(func.sum(Worker.slots)).where(heard_of(within_seconds))) or 0
