"""Workers that lack what a run needs: they leave it to others, and when none is left the run fails and names each."""

from __future__ import annotations

from sqlalchemy.orm import Session

from service.database.tables import Run
from service.runs import repository


def add(session: Session, run: Run, reason: str) -> None:
    """Notes that the worker which holds the run cannot carry it out. `reason` names its machine and what it lacks."""
    assert run.lease_owner is not None, "a held run"
    repository.add_refusal(session, run.id, run.lease_owner, reason)


def reasons_if_stranded(session: Session, run: Run, silence_seconds: float) -> list[str] | None:
    """Why no living worker can carry out the run; None while one may, or while none lives."""
    workers, refused = repository.living_workers(session, silence_seconds), repository.refusals(session, run.id)
    if not workers or workers - {each.worker_id for each in refused}:
        return None
    return list(dict.fromkeys(each.reason for each in refused if each.worker_id in workers))
