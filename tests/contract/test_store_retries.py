"""Retrying more than once, and pausing while a retried training is under way; on SQLite and on Postgres."""

from __future__ import annotations

from typing import Any

import pytest

from dpk_core.spec import RunSpec
from service.actions import service as actions
from service.database.session import reading, transaction
from service.database.tables import SelectionJob
from service.scheduling import advance, repository
from tests.contract import job_driver as drive
from tests.contract.job_driver import ON_SQLITE, Failure

pytestmark = pytest.mark.usefixtures("store")

FAILING = "cifar/resnet20"


def act(what: Any, job_id: str) -> str:
    with transaction() as session:
        return str(what(session, job_id).state)


def outcome(spec: RunSpec) -> drive.Outcome:
    """The students of one teacher fail at the first rung."""
    taught = spec.training.teacher
    fails = taught is not None and taught.model == FAILING and spec.stop_epoch == 2
    return Failure("No room.") if fails else drive.by_skill(spec)


def steps(job_id: str) -> list[tuple[str | None, int, int]]:
    with reading() as session:
        begun = repository.snapshot(session, session.get_one(SelectionJob, job_id)).begun
    return [(each.step.teacher, each.step.seed, each.step.rung) for each in begun]


def test_what_fails_again_may_be_retried_again() -> None:
    job_id = drive.submit(drive.request(slots=1))
    drive.run_to_end(job_id, outcome)
    for _ in range(2):
        assert act(actions.retry, job_id) == "running"
        drive.run_to_end(job_id, outcome)
        assert drive.job(job_id).state == "finished"
    assert act(actions.retry, job_id) == "running"
    drive.run_to_end(job_id)
    assert drive.job(job_id).state == "finished"
    assert drive.statuses(job_id)[FAILING][0] != "failed"
    assert len(set(steps(job_id))) == len(steps(job_id)), "a step that is under way is not decided again"


@ON_SQLITE
@pytest.mark.parametrize(("policy", "slots"), [("adaptive", 1), ("adaptive", 2), ("halving", 1), ("exhaustive", 2)])
@pytest.mark.parametrize("over", [True, False], ids=["after its end", "while it runs"])
def test_a_job_paused_after_a_retry_goes_on(policy: str, slots: int, *, over: bool) -> None:
    job_id = drive.submit(drive.request(slots=slots, policy=policy))
    drive.advance(job_id)

    def fails(spec: RunSpec) -> drive.Outcome:
        taught = spec.training.teacher
        return Failure("No room.") if taught is not None and taught.model == FAILING else drive.by_skill(spec)

    while (over or not drive.runs_of(job_id, "failed")) and drive.step(job_id, fails):
        pass
    assert act(actions.retry, job_id) == "running"
    assert act(actions.pause, job_id) == "paused"
    assert act(actions.resume, job_id) == "running"
    drive.run_to_end(job_id)
    assert drive.job(job_id).state == "finished"
    assert drive.statuses(job_id)[FAILING][0] != "failed"
    assert len(set(steps(job_id))) == len(steps(job_id))


@ON_SQLITE
def test_a_run_that_serves_two_steps_is_linked_once() -> None:
    drive.run_to_end(drive.submit(drive.request(FAILING, policy="exhaustive", promote=1, seeds=1)))
    job_id = drive.submit(drive.request(FAILING, promote=1, seeds=1))
    with transaction() as session:
        snapshot = repository.snapshot(session, session.get_one(SelectionJob, job_id))
        specs = [snapshot.plan.student_run(None, snapshot.plan.seeds[0], rung) for rung in snapshot.plan.rungs[:2]]
        advance._link(session, snapshot, [(snapshot.arm(None), "explore", spec) for spec in specs])
    assert [run.spec["stop_epoch"] for run in drive.runs_of(job_id)] == [8]
