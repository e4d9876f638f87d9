"""Which failures are tried again, by whom and when, on SQLite and on Postgres."""

from __future__ import annotations

import pytest
from sqlalchemy import select, update

from dpk_core.protocol import FailureKind
from dpk_core.spec import RunSpec, TeacherReference
from service.database.session import transaction
from service.database.tables import OutboxMessage, Run, RunRefusal
from service.database.types import epoch_now, utc_now
from service.runs import repository, service, sweep, tries
from service.runs.claims import Claim, Report
from tests.contract.run_driver import (
    claim,
    claimed,
    create,
    finish,
    let_lease_expire,
    live,
    messages,
    next_claim,
    report,
    row,
    swept,
)
from tests.contract.run_specs import checkpoint, reference, run_spec, training

pytestmark = pytest.mark.usefixtures("store")


def fail(held: Claim, kind: FailureKind, message: str = "It broke.", *, wait: float = 0.0) -> Run:
    with transaction() as session:
        assert service.fail(session, held, kind, message, max_attempts=3, retry_seconds=wait)
    return row(held.run_id)


def set_values(run_id: str, **values: object) -> None:
    with transaction() as session:
        session.execute(update(Run).where(Run.id == run_id).values(**values))


def ago(run_id: str, column: str, seconds: float) -> None:
    set_values(run_id, **{column: epoch_now() - seconds})


class TestWaits:
    @pytest.mark.parametrize(("attempts", "seconds"), [(1, 5.0), (2, 10.0), (4, 40.0), (9, 300.0), (5000, 300.0)])
    def test_they_double_up_to_five_minutes(self, attempts: int, seconds: float) -> None:
        assert tries.wait_seconds(5.0, attempts) == seconds

    def test_nobody_takes_a_waiting_run_and_its_message_comes_when_the_wait_is_over(self) -> None:
        live("a")
        run_id = create(run_spec())
        fail(claimed(run_id), "out_of_memory", wait=60.0)
        swept(resend_seconds=0.0)
        assert claim(run_id, "b") is None
        assert next_claim("b") is None
        with transaction() as session:
            assert [found.id for found in repository.unheard(session, -1.0, 10)] == []
        before = len(messages("advance_run"))
        ago(run_id, "not_before", 1.0)
        with transaction() as session:
            session.execute(update(OutboxMessage).values(sent_at=utc_now()))
        swept(resend_seconds=60.0)
        assert len(messages("advance_run")) == before + 1
        assert claimed(run_id, "b").fence == 2
        assert row(run_id).not_before is None

    def test_a_dead_process_waits_too_and_a_lost_worker_does_not(self) -> None:
        dead, left = create(run_spec(1)), create(run_spec(2))
        held = claimed(dead)
        with transaction() as session:
            service.lost(session, held, "by signal 9", max_attempts=3, retry_seconds=60.0)
        claimed(left)
        let_lease_expire(left)
        swept()
        assert claim(dead) is None
        assert claim(left) is not None


class TestSameError:
    def test_the_same_twice_in_a_row_is_the_end(self) -> None:
        run_id = create(run_spec())
        assert fail(claimed(run_id), "internal", "Odd: <object at 0x7f12>").state == "queued"
        run = fail(claimed(run_id), "internal", "Odd: <object at 0x8a90>")
        assert (run.state, run.failure) == ("failed", "It failed twice with the same error. Odd: <object at 0x8a90>")

    def test_another_one_or_a_lost_worker_in_between_is_not(self) -> None:
        one, two = create(run_spec(1)), create(run_spec(2))
        fail(claimed(one), "internal", "First.")
        assert fail(claimed(one), "internal", "Second.").state == "queued"
        fail(claimed(two), "internal", "First.")
        claimed(two)
        let_lease_expire(two)
        swept()
        claimed_again = claimed(two)
        with transaction() as session:
            assert service.fail(session, claimed_again, "internal", "First.", max_attempts=9)
        assert row(two).state == "queued"

    def test_nor_is_one_after_which_it_got_further(self) -> None:
        run_id = create(run_spec())
        for step in (10, 20, 30):
            held = claimed(run_id)
            report(held, Report(checkpoint=checkpoint(f"{step}.pt", step=step, seconds=1.0)))
            assert fail(held, "internal", "The device fell off.").state == "queued"
        assert fail(claimed(run_id), "internal", "The device fell off.").state == "failed"


class TestFewerAttempts:
    def test_a_queued_run_that_was_tried_as_often_ends_with_its_reason(self) -> None:
        failed, lost = create(run_spec(1)), create(run_spec(2))
        fail(claimed(failed), "out_of_memory", "Too little memory.")
        claimed(lost)
        let_lease_expire(lost)
        swept()
        swept(max_attempts=2)
        assert {row(failed).state, row(lost).state} == {"queued"}
        swept(max_attempts=1)
        message = "It was tried 1 time; DPK_MAX_ATTEMPTS allows 1 now. A retry counts anew."
        assert (row(failed).failure_kind, row(failed).failure) == (
            "out_of_memory", f"{message} The last attempt failed: Too little memory.",
        )  # fmt: skip
        assert (row(lost).state, row(lost).failure_kind, row(lost).failure) == ("failed", "internal", message)


class TestProgress:
    @pytest.mark.parametrize(("further", "state"), [(10, "queued"), (0, "failed")])
    def test_attempts_are_counted_anew_as_long_as_each_gets_further(self, further: int, state: str) -> None:
        run_id = create(run_spec())
        for attempt in range(5):
            held = claim(run_id)
            if held is None:
                break
            step = 10 + further * attempt
            report(held, Report(checkpoint=checkpoint(f"{attempt}.pt", step=step, seconds=1.0)))
            let_lease_expire(run_id)
            swept()
        assert row(run_id).state == state
        if state == "failed":
            lost = "The worker that carried out the training was lost 3 times since its last checkpoint."
            assert row(run_id).failure == lost

    def test_a_checkpoint_that_breaks_again_and_again_gives_no_attempts_back(self) -> None:
        run_id = create(run_spec())
        for attempts in (1, 2, 3):
            held = claimed(run_id)
            assert row(run_id).attempts == attempts
            if held.resume is None:
                report(held, Report(checkpoint=checkpoint("r-10.pt", step=10, seconds=1.0)))
                let_lease_expire(run_id)
                swept()
            else:
                with transaction() as session:
                    service.fail(session, held, "artifact", "checksum", max_attempts=3)
        assert row(run_id).state == "failed"


class TestFullDisk:
    def test_it_waits_uncounted_ever_longer_and_fails_after_a_day(self) -> None:
        run_id = create(run_spec())
        run = fail(claimed(run_id), "disk_full", "The disk is full.", wait=5.0)
        assert (run.state, run.attempts) == ("queued", 0)
        assert claim(run_id) is None
        ago(run_id, "not_before", 0.0)
        ago(run_id, "disk_full_epoch", 100.0)
        run = fail(claimed(run_id), "disk_full", "The disk is full.", wait=5.0)
        with transaction() as session:
            assert 90 < -repository.seconds_since(session, run.not_before) <= 101
        ago(run_id, "not_before", 0.0)
        ago(run_id, "disk_full_epoch", tries.DISK_PATIENCE_SECONDS + 1)
        run = fail(claimed(run_id), "disk_full", "The disk is full.")
        assert (run.state, run.failure_kind, run.failure) == (
            "failed", "disk_full", "It was tried for a day. The disk is full.",
        )  # fmt: skip

    def test_a_checkpoint_ends_it(self) -> None:
        run_id = create(run_spec())
        fail(claimed(run_id), "disk_full")
        report(claimed(run_id), Report(checkpoint=checkpoint("r-10.pt", step=10, seconds=4.0)))
        assert row(run_id).disk_full_epoch is None


class TestRefusal:
    def test_another_worker_takes_what_one_lacks(self) -> None:
        live("a", "b")
        run_id, other = create(run_spec(1)), create(run_spec(2))
        run = fail(claimed(run_id, "a"), "missing_here", "a does not have npz/mine.")
        assert (run.state, run.attempts) == ("queued", 0)
        assert claim(run_id, "a") is None
        held = next_claim("a")
        assert held is not None
        assert held.run_id == other
        swept()
        assert claimed(run_id, "b").run_id == run_id

    def test_it_fails_when_every_living_worker_has_refused_it_for_a_while(self) -> None:
        live("a", "b", "dead")
        set_worker_silent("dead")
        run_id = create(run_spec())
        for owner in "ab":
            fail(claimed(run_id, owner), "missing_here", f"{owner} does not have npz/mine.")
        swept()
        assert row(run_id).state == "queued"
        swept()
        assert row(run_id).state == "queued"
        ago(run_id, "stranded_epoch", 31.0)
        swept()
        assert (row(run_id).state, row(run_id).failure) == (
            "failed", "No worker can carry out the training. a does not have npz/mine. b does not have npz/mine.",
        )  # fmt: skip

    def test_a_worker_that_starts_meanwhile_saves_it(self) -> None:
        live("a")
        run_id = create(run_spec())
        fail(claimed(run_id, "a"), "missing_here")
        swept()
        live("b")
        ago(run_id, "stranded_epoch", 31.0)
        swept()
        assert (row(run_id).state, row(run_id).stranded_epoch) == ("queued", None)

    def test_while_no_worker_lives_it_waits(self) -> None:
        run_id = create(run_spec())
        fail(claimed(run_id, "a"), "missing_here")
        swept()
        assert (row(run_id).state, row(run_id).stranded_epoch) == ("queued", None)

    def test_a_worker_that_starts_again_tries_again(self) -> None:
        run_id = create(run_spec())
        fail(claimed(run_id, "a"), "missing_here")
        with transaction() as session:
            repository.forget_refusals(session, "a")
            assert session.scalars(select(RunRefusal)).all() == []
        assert claim(run_id, "a") is not None

    def test_refusals_go_with_the_run_or_the_worker(self) -> None:
        live("a", "b", "dead")
        over, waits = create(run_spec(1)), create(run_spec(2))
        for owner in ("a", "b", "dead"):
            fail(claimed(over, owner), "missing_here")
            fail(claimed(waits, owner), "missing_here")
        with transaction() as session:
            service.request_cancel(session, [over], "mine")
            repository.drop_worker(session, "b")
        set_worker_silent("dead")
        swept()
        with transaction() as session:
            left = session.scalars(select(RunRefusal)).all()
        assert [(each.run_id, each.worker_id) for each in left] == [(waits, "a")]

    def test_a_sweep_goes_on_where_the_last_one_ended(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sweep, "LIMIT", 2)
        live("a")
        run_ids = sorted(create(run_spec(seed)) for seed in range(3))
        for run_id in run_ids:
            fail(claimed(run_id, "a"), "missing_here")
        after = ""
        for _ in range(2):
            with transaction() as session:
                after = sweep.sweep(session, resend_seconds=60.0, max_attempts=3, refused_after=after)
        assert after == ""
        assert all(row(run_id).stranded_epoch is not None for run_id in run_ids)


class TestAnotherVersion:
    """What a worker cannot read it leaves to others, and goes on."""

    def test_an_unreadable_run_holds_up_none_behind_it(self) -> None:
        live("a", "b")
        first, second = create(run_spec(1)), create(run_spec(2))
        set_values(first, spec={**row(first).spec, "of_tomorrow": 1})
        held = next_claim("a")
        assert held is not None
        assert held.run_id == second
        run = row(first)
        assert (run.state, run.attempts, run.lease_owner) == ("queued", 0, None)
        assert next_claim("a") is None
        set_values(first, spec={name: value for name, value in run.spec.items() if name != "of_tomorrow"})
        assert claimed(first, "b").run_id == first, "a worker of its version takes it"

    def test_an_unreadable_result_of_its_teacher(self) -> None:
        live("a")
        teacher = RunSpec(training=training(role="teacher"), stop_epoch=4)
        made = create(teacher, "teacher")
        assert finish(claimed(made), weights=reference("w.safetensors"))
        key = teacher.training.key()
        taught = create(run_spec(1, teacher=TeacherReference(model="cifar/resnet8w4", training_key=key)))
        set_values(made, result={**(row(made).result or {}), "of_tomorrow": 1})
        assert claim(taught, "a") is None
        swept()
        ago(taught, "stranded_epoch", 31.0)
        swept()
        assert (row(taught).state, row(taught).failure_kind) == ("failed", "missing_here")
        assert "a cannot read what another version stored of the run or its teacher" in str(row(taught).failure)


def set_worker_silent(worker: str) -> None:
    with transaction() as session:
        found = update(repository.Worker).where(repository.Worker.id == worker)
        session.execute(found.values(seen_epoch=epoch_now() - 1e5))
