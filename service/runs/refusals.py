"""Workers that lack what a run needs: they leave it to others, and when none is left the run fails and names each."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from service.database.tables import Run, RunRefusal, Worker
from service.database.types import epoch_now, utc_now


def add(session: Session, run: Run, reason: str) -> None:
    """Notes that the worker which holds the run cannot carry it out. `reason` names its machine and what it lacks."""
    assert run.lease_owner is not None, "a held run"
    row = RunRefusal(run_id=run.id, worker_id=run.lease_owner, reason=reason, created_at=utc_now())
    session.merge(row)


def forget(session: Session, worker_id: str) -> None:
    """A worker that starts may have now what another process of its name had not."""
    session.execute(delete(RunRefusal).where(RunRefusal.worker_id == worker_id))


def refused_runs(session: Session, limit: int) -> Sequence[Run]:
    """Queued runs that some worker has refused, locked."""
    refused = select(RunRefusal.run_id).where(RunRefusal.run_id == Run.id).exists()
    rows = select(Run).where(Run.state == "queued", refused).order_by(Run.id).limit(limit)
    return session.scalars(rows.with_for_update(skip_locked=True)).all()


def reasons_if_stranded(session: Session, run: Run, silence_seconds: float) -> list[str] | None:
    """Why no living worker can carry out the run; None while one may, or while none lives."""
    living = select(Worker.id).where(Worker.slots > 0, Worker.seen_epoch > epoch_now() - silence_seconds)
    rows = select(RunRefusal.worker_id, RunRefusal.reason).where(RunRefusal.run_id == run.id)
    refused = {row.worker_id: row.reason for row in session.execute(rows.order_by(RunRefusal.created_at))}
    workers = set(session.scalars(living))
    if not workers or workers - refused.keys():
        return None
    return list(dict.fromkeys(reason for worker_id, reason in refused.items() if worker_id in workers))
