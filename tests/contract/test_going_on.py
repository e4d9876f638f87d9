"""Which checkpoint of another run a run goes on from, on SQLite and on Postgres."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dpk_core.protocol import Checkpoint
from dpk_core.spec import RunSpec
from service.database.session import transaction
from service.database.tables import SelectionJob
from service.runs import service
from service.runs.claims import Claim, Report
from service.scheduling import repository
from tests.contract import job_driver
from tests.contract.run_driver import claimed, create, report, row
from tests.contract.run_specs import checkpoint, run_spec

pytestmark = pytest.mark.usefixtures("store")


def at(epoch: int, step: int) -> Checkpoint:
    return replace(checkpoint(f"at-{step}.pt", step=step, seconds=float(step)), epoch=epoch)


def left_behind(stop_epoch: int, at_cancel: Checkpoint, spec: RunSpec | None = None) -> None:
    """A run that was cancelled with this checkpoint."""
    held = claimed(create(spec or run_spec(stop_epoch=stop_epoch)))
    report(held, Report(seconds=at_cancel.seconds, checkpoint=at_cancel))
    with transaction() as session:
        service.request_cancel(session, [held.run_id], "mine")
        service.release(session, held)
    assert row(held.run_id).state == "cancelled"


def taken(stop_epoch: int) -> Claim:
    return claimed(create(run_spec(stop_epoch=stop_epoch)))


def test_one_at_the_end_of_the_same_run_is_gone_on_from() -> None:
    left_behind(4, at(4, 400))
    held = taken(4)
    assert (held.resume, held.earlier_seconds) == (at(4, 400), 400.0)


def test_one_of_a_longer_run_may_lie_beyond_the_end() -> None:
    left_behind(4, at(3, 310))
    assert taken(3).resume is None


def test_the_furthest_before_the_end_is_taken() -> None:
    left_behind(4, at(3, 310))
    left_behind(2, at(2, 200))
    assert taken(3).resume == at(2, 200)


def test_a_job_expects_to_pay_nothing_for_one_at_its_own_end() -> None:
    job_id = job_driver.submit()
    with transaction() as session:
        plan = repository.snapshot(session, session.get_one(SelectionJob, job_id)).plan
    seed, epochs = plan.seeds[0], plan.epochs
    left_behind(epochs, at(epochs, 400), plan.student_run(None, seed, epochs))
    with transaction() as session:
        assert repository.stored(session, plan)[None, seed].up_to(epochs) == epochs
