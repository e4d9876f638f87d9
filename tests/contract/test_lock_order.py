"""Whoever locks several runs locks them in one order; on Postgres two orders would be a deadlock."""

from __future__ import annotations

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from dpk_core.spec import RunSpec
from service.database.session import transaction
from service.database.tables import Run, RunRefusal
from service.runs import repository
from tests.contract import job_driver as drive
from tests.contract.run_driver import create
from tests.contract.run_specs import run_spec

pytestmark = pytest.mark.usefixtures("store")


def test_cancelling_locks_runs_in_the_order_in_which_advancing_does(monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = drive.submit(drive.request(policy="halving"))
    drive.advance(job_id)
    while len(drive.runs_of(job_id, "queued", purpose="teacher")) > 1:
        drive.step(job_id)
    drive.end(drive.claim(drive.runs_of(job_id, "queued")[0].id), 0.9)
    advanced, cancelled = _record(monkeypatch)
    # One transaction finds the runs of all seeds and teachers of a round.
    drive.advance(job_id)
    assert len(advanced) == 6
    drive.cancel(job_id)
    assert cancelled == advanced


@pytest.mark.parametrize("migrated_url", [pytest.param("postgres", marks=pytest.mark.servers)], indirect=True)
def test_forgetting_a_worker_waits_for_no_run_that_ends() -> None:
    ends, waits = create(run_spec(1)), create(run_spec(2))
    with transaction() as session:
        for run_id in (ends, waits):
            repository.add_refusal(session, run_id, "a", "It lacks something.")
    with transaction() as ending:
        repository.drop_refusals(ending, ends)
        with transaction() as leaving:
            leaving.execute(text("SET LOCAL lock_timeout = '5s'"))
            repository.drop_worker(leaving, "a")
    with transaction() as session:
        assert session.scalars(select(RunRefusal)).all() == []


def _record(monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], list[str]]:
    """The runs that are locked from now on, by advancing and by cancelling."""
    advanced: list[str] = []
    cancelled: list[str] = []
    find_or_create, lock = repository.find_or_create, repository.locked

    def found(session: Session, spec: RunSpec, purpose: str) -> tuple[Run, bool]:
        run, reused = find_or_create(session, spec, purpose)
        advanced.append(run.id)
        return run, reused

    def locked(session: Session, run_id: str) -> Run:
        cancelled.append(run_id)
        return lock(session, run_id)

    monkeypatch.setattr(repository, "find_or_create", found)
    monkeypatch.setattr(repository, "locked", locked)
    return advanced, cancelled
