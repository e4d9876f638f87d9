"""A new training version under jobs on their way, waiting and over, on SQLite and on Postgres."""

from __future__ import annotations

import pytest

from dpk_core.spec import TRAINING_VERSION
from service.runs import repository as runs
from service.scheduling import advance
from service.selection_jobs import planning
from tests.contract import job_driver as drive
from tests.contract.job_driver import ON_SQLITE
from tests.contract.run_driver import next_claim

pytestmark = pytest.mark.usefixtures("store")

SENTENCE = (
    f"The training code changed while the job was under way (version {TRAINING_VERSION} → {TRAINING_VERSION + 1}); "
    "submit it again: what was finished before is not mixed with what comes now."
)


def change_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the service and its workers had been restarted with code that trains differently."""
    for room in (advance, planning, runs):
        monkeypatch.setattr(room, "TRAINING_VERSION", TRAINING_VERSION + 1)


@ON_SQLITE
def test_a_job_on_its_way_fails_before_any_other_run_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = drive.submit()
    drive.advance(job_id)
    for _ in range(4):
        assert drive.step(job_id)
    before = {run.id: run.state for run in drive.runs_of(job_id)}
    assert "queued" in before.values()
    going = drive.claim(drive.runs_of(job_id, "queued")[0].id)
    change_the_code(monkeypatch)
    drive.advance(job_id)
    job = drive.job(job_id)
    assert (job.state, job.failure) == ("failed", SENTENCE)
    after = {run.id: run.state for run in drive.runs_of(job_id)}
    assert after == {
        name: "running" if name == going.run_id else "cancelled" if state == "queued" else state
        for name, state in before.items()
    }
    assert [run.cancel_requested for run in drive.runs_of(job_id, "running")] == [True]
    assert {status for status, _ in drive.statuses(job_id).values()} == {"cancelled"}
    assert [event.data for event in drive.events_of(job_id) if event.kind == "failed"] == [
        {"failure": {"kind": "outdated", "before": TRAINING_VERSION, "now": TRAINING_VERSION + 1}}
    ]
    assert drive.board(job_id).job.failure == SENTENCE


def test_a_job_that_waits_fails_too_and_the_next_one_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    first = drive.submit()
    change_the_code(monkeypatch)
    drive.advance(first)
    assert drive.job(first).failure == SENTENCE
    assert drive.runs_of(first) == []
    second = drive.submit()
    drive.run_to_end(second)
    assert drive.job(second).state == "finished"
    assert {run.spec["training"]["version"] for run in drive.runs_of(second)} == {TRAINING_VERSION + 1}


def test_no_worker_takes_a_run_of_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = drive.submit()
    drive.advance(job_id)
    with monkeypatch.context() as newer:
        change_the_code(newer)
        assert next_claim("worker") is None
    assert next_claim("worker") is not None


def test_what_is_over_stays_what_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = drive.submit()
    drive.run_to_end(job_id)
    before = drive.board(job_id)
    change_the_code(monkeypatch)
    drive.advance(job_id)
    assert drive.board(job_id) == before
    assert before.setup.training_version == TRAINING_VERSION
    again = drive.submit()
    assert drive.board(again).trust.stamp != before.trust.stamp
    drive.run_to_end(again)
    assert drive.board(again).ledger.reused == 0
