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
    other = drive.submit()
    drive.advance(other)
    ready = drive.runs_of(other, purpose="teacher")[0].id
    drive.end(drive.claim(ready), 0.9)

    job_id = drive.submit()
    advanced, cancelled = _record(monkeypatch)
    # One transaction finds all teachers, then the probes of the arms that can go on.
    drive.advance(job_id)
    assert {run.purpose for run in drive.runs_of(job_id)} == {"teacher", "probe"}
    drive.cancel(job_id)
    assert cancelled == [run_id for run_id in advanced if run_id != ready]


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
