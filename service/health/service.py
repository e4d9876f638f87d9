"""What readiness asks, and the alarms that a person should look at."""

from __future__ import annotations

from datetime import datetime

from kombu.exceptions import KombuError
from sqlalchemy.orm import Session

from service.database.faults import FAULTS
from service.database.session import prompt_reading
from service.database.tables import SCHEMA_REVISION
from service.database.types import utc_now
from service.health import repository
from service.health.schemas import Readiness
from service.health.storage import storage_alarms
from service.outbox.broker import producer
from service.problems import Unavailable
from service.schemas import FieldError
from service.settings import settings


def readiness() -> Readiness:
    """Every part that answers, and the alarms. Raises Unavailable naming the parts that do not answer."""
    failing = [error for error in (_schema_error(), _broker_error()) if error is not None]
    if failing:
        raise Unavailable(" ".join(error.message for error in failing), failing)
    return Readiness(parts=["database", "schema", "broker"], alarms=alarms())


def alarms() -> list[str]:
    """Work that waits while nobody takes it, and disks that are full."""
    with prompt_reading() as session:
        return [*_waiting(session), *storage_alarms(session, within_seconds=_silence())]


def _waiting(session: Session) -> list[str]:
    """A broker may answer pings while a worker consumes nothing."""
    silence = _silence()
    waiting = repository.runs_in(session, "queued")
    running = repository.runs_in(session, "running")
    served = repository.queues_served(session, silence)
    runs = "1 run is" if waiting == 1 else f"{waiting} runs are"
    if waiting and "runs" not in served:
        return [
            f"{runs} queued, and no training worker was heard of in the last {silence:.0f} s. Start one: dpk worker."
        ]
    if waiting and not running:
        return [f"{runs} queued, and none is running although a worker is alive. Look at its log if this stays."]
    return []


def missing_worker(session: Session) -> str | None:
    """Why no job goes on, as a sentence: the kind of worker that is not there, or what troubles all that train."""
    served = repository.queues_served(session, _silence())
    if "control" not in served:
        return "No control worker is there to plan the trainings. Start one: dpk worker --queues control."
    if "runs" not in served:
        return "No training worker is there. Start one: dpk worker."
    troubles = repository.troubles(session, _silence())
    return troubles[0] if troubles and all(troubles) else None


def waiting_for(session: Session, created_at: datetime) -> str | None:
    """The worker that is missing, once what was made at `created_at` has waited long enough to say so."""
    return None if is_new(created_at) else missing_worker(session)


def is_new(created_at: datetime) -> bool:
    """Whether workers that were started together with what was made at `created_at` may not have been heard of yet."""
    return (utc_now() - created_at).total_seconds() < _silence()


def slots(session: Session) -> int:
    """Runs that the living workers can carry out at the same time."""
    return repository.slots(session, _silence())


def _silence() -> float:
    """Seconds after which a worker that was not heard of counts as gone."""
    return settings().silence_seconds


def _schema_error() -> FieldError | None:
    try:
        with prompt_reading() as session:
            revision = repository.schema_revision(session)
    except FAULTS as error:
        cause = getattr(error, "orig", error)
        missing = "alembic_version" in str(cause)
        return _not_migrated("empty") if missing else FieldError(
            field="database", message=f"The database cannot be reached ({type(cause).__name__})."
        )  # fmt: skip
    return None if revision == SCHEMA_REVISION else _not_migrated(revision or "empty")


def _not_migrated(revision: str) -> FieldError:
    message = f"The database is at revision {revision}, not {SCHEMA_REVISION}. Bring it there: dpk migrate."
    return FieldError(field="schema", message=message)


def _broker_error() -> FieldError | None:
    try:
        with producer().connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=2)
    except (KombuError, OSError) as error:
        return FieldError(field="broker", message=f"The broker cannot be reached ({type(error).__name__}).")
    return None
