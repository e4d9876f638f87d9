"""Whoever locks several runs locks them in one order; on Postgres two orders would be a deadlock."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from dpk_core.spec import RunSpec
from service.database.tables import Run
from service.runs import repository
from tests.contract import job_driver as drive

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
