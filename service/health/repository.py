"""The queries of the health checks."""

from __future__ import annotations

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from service.database.tables import Run, Worker
from service.database.types import epoch_now


def schema_revision(session: Session) -> str | None:
    """The migration the database is at."""
    return session.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def runs_in(session: Session, state: str) -> int:
    """How many runs are in `state`."""
    return session.scalar(select(func.count()).select_from(Run).where(Run.state == state)) or 0


def workers_seen(session: Session, within_seconds: float) -> int:
    """How many workers were heard of in the last `within_seconds`, by the database's clock."""
    fresh = Worker.seen_epoch > epoch_now() - within_seconds
    return session.scalar(select(func.count()).select_from(Worker).where(fresh)) or 0


def slots(session: Session, within_seconds: float) -> int:
    """Runs that the workers heard of in the last `within_seconds` can carry out at the same time."""
    fresh = Worker.seen_epoch > epoch_now() - within_seconds
    return session.scalar(select(func.sum(Worker.slots)).where(fresh)) or 0
