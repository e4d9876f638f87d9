"""What a worker does with runs, one short transaction each, for the contract tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import select, update

from dpk_core.spec import RunSpec
from service.database.session import transaction
from service.database.tables import OutboxMessage, Run
from service.database.types import epoch_now
from service.runs import repository, service
from service.runs.claims import Answer, Claim, Report
from service.runs.sweep import sweep
from tests.contract.run_specs import result


def create(spec: RunSpec, purpose: str = "full") -> str:
    with transaction() as session:
        return repository.find_or_create(session, spec, purpose)[0].id


def claim(run_id: str, owner: str = "a", *, lease_seconds: float = 60.0, max_attempts: int = 3) -> Claim | None:
    with transaction() as session:
        return service.claim(session, run_id, owner, lease_seconds=lease_seconds, max_attempts=max_attempts)


def claimed(run_id: str, owner: str = "a") -> Claim:
    taken = claim(run_id, owner)
    assert taken is not None
    return taken


def report(held: Claim, reported: Report | None = None) -> Answer:
    with transaction() as session:
        return service.report(session, held, reported or Report(), lease_seconds=60.0)


def finish(held: Claim, **values: object) -> bool:
    with transaction() as session:
        return service.finish(session, held, replace(result(), **values))


def row(run_id: str) -> Run:
    with transaction() as session:
        return session.get_one(Run, run_id)


def messages(task: str) -> Sequence[str]:
    with transaction() as session:
        return session.scalars(select(OutboxMessage.subject_id).where(OutboxMessage.task == task)).all()


def let_lease_expire(run_id: str) -> None:
    with transaction() as session:
        session.execute(update(Run).where(Run.id == run_id).values(lease_expires=epoch_now() - 1.0))


def swept(*, resend_seconds: float = 60.0, max_attempts: int = 3) -> None:
    with transaction() as session:
        sweep(session, resend_seconds=resend_seconds, max_attempts=max_attempts)


def live(*workers: str) -> None:
    """Training workers that were heard of just now."""
    with transaction() as session:
        for worker in workers:
            repository.put_worker(session, worker, queues="runs", slots=1, device=None)


def next_claim(owner: str) -> Claim | None:
    with transaction() as session:
        return service.claim_next(session, owner, lease_seconds=60.0, max_attempts=3)
