"""The end of a claim that could not be stored in time, on SQLite and on Postgres."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import select

from dpk_core.codec import from_json, to_json
from dpk_core.protocol import Checkpoint, Failed, Finished, Measured, Stopped
from service.database.session import transaction
from service.database.tables import Measurement, Run
from service.runs import service
from service.runs.claims import Answer, Claim, Ended, Report
from service.runs.delivery import deliver
from tests.contract.run_driver import claim, claimed, create, finish, let_lease_expire, messages, report, row, swept
from tests.contract.run_specs import add_job, checkpoint, result, run_spec

pytestmark = pytest.mark.usefixtures("store")

LAST = checkpoint("r-40.pt", step=40, seconds=9.0)


def ended(held: Claim, kind: str = "") -> Ended:
    measured = (Measured(run_id=held.run_id, step=40, epoch=4, values={"validation_accuracy": 0.5}),)
    end = Failed(run_id=held.run_id, kind=kind, message="It broke.") if kind else None  # type: ignore[arg-type]  # a kind
    return Ended(
        run_id=held.run_id, fence=held.fence, earlier_seconds=held.earlier_seconds, notices=(),
        report=Report(step=40, total_steps=40, checkpoint=LAST, measured=measured),
        end=end or Finished(run_id=held.run_id, result=result(seconds=9.0)),
    )  # fmt: skip


def delivered(late: Ended) -> bool:
    with transaction() as session:
        return deliver(session, late, max_attempts=3)


def assert_finished(run_id: str) -> None:
    run = row(run_id)
    assert (run.state, run.step, run.seconds) == ("finished", 40, 9.0)
    assert from_json(Checkpoint, run.checkpoint) == LAST
    with transaction() as session:
        assert [found.value for found in session.scalars(select(Measurement))] == [0.5]


def test_it_survives_being_written_down() -> None:
    for late in (ended(claimed(create(run_spec(1)))), ended(claimed(create(run_spec(2))), "diverged")):
        assert from_json(Ended, to_json(late)) == late


def test_under_its_own_fence_it_is_stored_as_in_time_and_only_once() -> None:
    run_id = create(run_spec())
    with transaction() as session:
        add_job(session, "job", session.get_one(Run, run_id))
    late = ended(claimed(run_id))
    let_lease_expire(run_id)
    assert delivered(late)
    assert_finished(run_id)
    assert messages("advance_job") == ["job"]
    assert not delivered(late)
    assert (row(run_id).fence, messages("advance_job")) == (1, ["job"])


def test_a_run_that_was_queued_again_is_finished_with_it() -> None:
    run_id = create(run_spec())
    late = ended(claimed(run_id))
    let_lease_expire(run_id)
    swept()
    assert delivered(late)
    assert_finished(run_id)
    assert claim(run_id, "b") is None


def test_the_worker_that_trains_it_again_finds_itself_lost() -> None:
    run_id = create(run_spec())
    late = ended(claimed(run_id))
    let_lease_expire(run_id)
    other = claimed(run_id, "b")
    assert delivered(late)
    assert_finished(run_id)
    assert report(other) is Answer.LOST
    assert not finish(other, validation_score=0.9)
    assert_finished(run_id)


@pytest.mark.parametrize(("kind", "stored"), [("diverged", True), ("internal", False), ("missing_here", False)])
def test_of_failures_only_one_that_would_come_again_counts_for_another_claim(kind: str, stored: bool) -> None:
    run_id = create(run_spec())
    late = ended(claimed(run_id), kind)
    let_lease_expire(run_id)
    claimed(run_id, "b")
    assert delivered(late) is stored
    assert row(run_id).state == ("failed" if stored else "running")


def test_what_was_cancelled_or_finished_or_is_not_known_drops_it() -> None:
    asked, over, done = (create(run_spec(seed)) for seed in (1, 2, 3))
    late = [ended(claimed(run_id)) for run_id in (asked, over, done)]
    for run_id in (asked, over, done):
        let_lease_expire(run_id)
    held = {run_id: claimed(run_id, "b") for run_id in (asked, over, done)}
    with transaction() as session:
        service.request_cancel(session, [asked, over], "mine")
        service.release(session, held[over])
    assert finish(held[done])
    before = [row(run_id).fence for run_id in (asked, over, done)]
    assert [delivered(one) for one in late] == [False, False, False]
    assert [row(run_id).state for run_id in (asked, over, done)] == ["running", "cancelled", "finished"]
    assert [row(run_id).fence for run_id in (asked, over, done)] == before
    unknown = ended(Claim(
        run_id="0" * 32, fence=1, spec=run_spec(), resume=None, earlier_seconds=0.0, furthest=0, known_scores=None,
        teacher_weights=None,
    ))  # fmt: skip
    assert not delivered(unknown)


def test_a_stop_is_stored_unless_somebody_has_claimed_the_run_since() -> None:
    kept, taken = create(run_spec(1)), create(run_spec(2))
    late = [replace(ended(claimed(each)), end=Stopped(run_id=each, step=40)) for each in (kept, taken)]
    assert from_json(Ended, to_json(late[0])) == late[0]
    for each in (kept, taken):
        let_lease_expire(each)
    swept()
    other = claimed(taken, "b")
    assert [delivered(each) for each in late] == [True, False]
    assert (row(kept).state, row(kept).attempts, from_json(Checkpoint, row(kept).checkpoint)) == ("queued", 0, LAST)
    assert report(other) is Answer.HELD
    assert row(taken).checkpoint is None
    before = row(kept).attempts, row(kept).fence, len(messages("advance_run"))
    assert not delivered(late[0])
    assert (row(kept).attempts, row(kept).fence, len(messages("advance_run"))) == before


def test_a_stop_under_its_own_fence_is_stored_only_once() -> None:
    run_id = create(run_spec())
    late = replace(ended(claimed(run_id)), end=Stopped(run_id=run_id, step=40))
    assert [delivered(late), delivered(late)] == [True, False]
    assert (row(run_id).state, row(run_id).attempts) == ("queued", 0)
    assert len(messages("advance_run")) == 2, "of the new run, and of the one that was given back"
