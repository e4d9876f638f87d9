"""The life of a run, on SQLite and on Postgres."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import select, update

from dpk_core.protocol import Measured, Noticed
from dpk_core.spec import RunSpec, TeacherReference
from service.database.session import transaction
from service.database.tables import Event, Measurement, OutboxMessage, Run
from service.database.types import epoch_now, utc_now
from service.runs import repository, service
from service.runs.claims import Answer, Report
from service.settings import Settings
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
from tests.contract.run_specs import add_job, checkpoint, reference, run_spec, training

pytestmark = pytest.mark.usefixtures("store")


class TestFindOrCreate:
    def test_same_content_is_one_run_with_one_message(self) -> None:
        assert create(run_spec(1)) == create(run_spec(1)) != create(run_spec(2))
        assert len(messages("advance_run")) == 2

    def test_only_a_finished_run_counts_as_reused(self) -> None:
        run_id = create(run_spec())
        with transaction() as session:
            assert repository.find_or_create(session, run_spec(), "full")[1] is False
        assert finish(claimed(run_id))
        with transaction() as session:
            run, reused = repository.find_or_create(session, run_spec(), "full")
        assert (run.id, reused) == (run_id, True)

    def test_failed_run_makes_room(self) -> None:
        first = create(run_spec())
        with transaction() as session:
            service.request_cancel(session, [first], "mine")
        assert create(run_spec()) != first

    def test_many_at_once_make_one(self) -> None:
        found: list[str] = []
        start = threading.Barrier(4)

        def make() -> None:
            start.wait()
            found.append(create(run_spec()))

        together(make, 4)
        assert len(found) == 4
        assert len(set(found)) == 1

    def test_a_run_wanted_again_is_not_cancelled(self) -> None:
        run_id = create(run_spec())
        held = claimed(run_id)
        with transaction() as session:
            service.request_cancel(session, [run_id], "mine")
        assert report(held) is Answer.CANCEL
        assert create(run_spec()) == run_id
        with transaction() as session:
            assert service.release(session, held)
        assert row(run_id).state == "queued"


class TestClaim:
    def test_race_has_one_winner(self) -> None:
        run_ids = [create(run_spec(seed)) for seed in range(4)]
        won: list[tuple[str, str]] = []
        start = threading.Barrier(4)

        def race(owner: str) -> None:
            start.wait()
            won.extend((run_id, owner) for run_id in run_ids if claim(run_id, owner) is not None)

        together(race, "abcd")
        assert sorted(run_id for run_id, _ in won) == sorted(run_ids)
        for run_id, owner in won:
            assert (row(run_id).lease_owner, row(run_id).fence) == (owner, 1)

    def test_claim_next_takes_each_once_and_the_oldest_first(self) -> None:
        run_ids = [create(run_spec(seed)) for seed in range(6)]
        taken: list[str] = []
        start = threading.Barrier(3)

        def take(owner: str) -> None:
            start.wait()
            while (held := next_claim(owner)) is not None:
                taken.append(held.run_id)

        together(take, "abc")
        assert sorted(taken) == sorted(run_ids)
        one, two = create(run_spec(10)), create(run_spec(11))
        assert [held.run_id for held in (next_claim("a"), next_claim("a")) if held] == [one, two]

    def test_expired_lease_is_taken_and_the_old_fence_writes_nothing(self) -> None:
        run_id = create(run_spec())
        stale = claimed(run_id, "a")
        assert claim(run_id, "b") is None
        let_lease_expire(run_id)
        fresh = claimed(run_id, "b")
        assert fresh.fence == stale.fence + 1
        before = values(run_id)
        reported = Report(step=9, measured=(Measured(run_id=run_id, step=9, epoch=1, values={"train_loss": 1.0}),))
        assert report(stale, reported) is Answer.LOST
        assert not finish(stale)
        with transaction() as session:
            assert not service.fail(session, stale, "diverged", "no", max_attempts=3)
            assert not service.lost(session, stale, "by signal 9", max_attempts=3)
            assert not service.release(session, stale)
            assert session.scalars(select(Measurement)).all() == []
        assert values(run_id) == before
        assert report(fresh) is Answer.HELD

    def test_finished_row_never_changes(self) -> None:
        run_id = create(run_spec())
        held = claimed(run_id)
        assert finish(held)
        before = values(run_id)
        assert claim(run_id, "b") is None
        assert report(held, Report(step=99)) is Answer.LOST
        assert not finish(held, validation_score=0.9)
        with transaction() as session:
            service.request_cancel(session, [run_id], "mine")
        swept(resend_seconds=0.0)
        assert values(run_id) == before

    def test_attempts_are_bounded_even_when_only_leases_expire(self) -> None:
        run_id = create(run_spec())
        for _ in range(3):
            assert claim(run_id) is not None
            let_lease_expire(run_id)
        assert claim(run_id) is None
        swept()
        assert row(run_id).state == "failed"
        assert row(run_id).failure == "The worker that carried out the training was lost 3 times."


class TestResume:
    def test_full_run_continues_the_probe(self) -> None:
        probe, full = create(run_spec(stop_epoch=2), "probe"), create(run_spec(stop_epoch=4))
        held = claimed(probe)
        report(held, Report(checkpoint=checkpoint("p-20.pt", step=20, seconds=5.0)))
        finish(held)
        held = claimed(full)
        assert held.resume == checkpoint("p-20.pt", step=20, seconds=5.0)
        assert row(full).step == 20
        report(held, Report(step=25, seconds=7.5))
        assert row(full).seconds == pytest.approx(2.5)

    def test_own_checkpoint_wins_and_what_lies_beyond_it_is_wasted(self) -> None:
        run_id = create(run_spec())
        held = claimed(run_id)
        report(held, Report(step=10, seconds=4.0, checkpoint=checkpoint("r-10.pt", step=10, seconds=4.0)))
        report(held, Report(step=14, seconds=6.0))
        let_lease_expire(run_id)
        again = claimed(run_id, "b")
        assert again.resume == checkpoint("r-10.pt", step=10, seconds=4.0)
        assert (row(run_id).step, row(run_id).seconds, row(run_id).wasted_seconds) == (10, 4.0, 2.0)

    def test_what_it_took_over_is_settled_with_its_first_checkpoint(self) -> None:
        left, full = create(run_spec(stop_epoch=2), "probe"), create(run_spec())
        held = claimed(left)
        report(held, Report(step=6, seconds=6.0, checkpoint=checkpoint("left-6.pt", step=6, seconds=6.0)))
        with transaction() as session:
            service.request_cancel(session, [left], "mine")
            service.release(session, held)
        held, sibling = claimed(full), create(run_spec(stop_epoch=3), "probe")
        report(held, Report(step=7, seconds=7.0, checkpoint=checkpoint("full-7.pt", step=7, seconds=7.0)))
        other = claimed(sibling)
        report(other, Report(checkpoint=checkpoint("sibling-9.pt", step=9, seconds=9.0)))
        finish(other)
        let_lease_expire(full)
        again = claimed(full, "b")
        assert again.resume == checkpoint("full-7.pt", step=7, seconds=7.0)
        assert again.earlier_seconds == 6.0
        assert (row(full).seconds, row(full).wasted_seconds) == (1.0, 0.0)
        report(again, Report(step=8, seconds=8.0))
        assert row(full).seconds == 2.0

    def test_without_a_checkpoint_of_its_own_it_takes_over_the_furthest_there_is_now(self) -> None:
        first, full = create(run_spec(stop_epoch=2), "probe"), create(run_spec())
        report(claimed(full), Report(step=3, seconds=3.0))
        held = claimed(first)
        report(held, Report(checkpoint=checkpoint("p-5.pt", step=5, seconds=5.0)))
        finish(held)
        let_lease_expire(full)
        again = claimed(full, "b")
        assert (again.resume, again.earlier_seconds) == (checkpoint("p-5.pt", step=5, seconds=5.0), 5.0)
        assert (row(full).seconds, row(full).wasted_seconds) == (0.0, 3.0)

    def test_broken_file_makes_it_begin_anew(self) -> None:
        run_id = create(run_spec())
        held = claimed(run_id)
        report(held, Report(checkpoint=checkpoint("r-10.pt", step=10, seconds=4.0)))
        with transaction() as session:
            service.fail(session, held, "artifact", "checksum", max_attempts=3)
        assert claimed(run_id).resume is None

    def test_student_gets_its_teachers_weights(self) -> None:
        teacher = RunSpec(training=training(role="teacher"), stop_epoch=4)
        teacher_run = create(teacher, "teacher")
        finish(claimed(teacher_run), weights=reference("w.safetensors"))
        student = run_spec(teacher=TeacherReference(model="cifar/resnet20", training_key=teacher.training.key()))
        assert claimed(create(student)).teacher_weights == reference("w.safetensors")

    def test_a_teacher_whose_file_is_broken_is_trained_anew_for_the_next_job(self) -> None:
        teacher = RunSpec(training=training(role="teacher"), stop_epoch=4)
        first = create(teacher, "teacher")
        finish(claimed(first), weights=reference("w.safetensors"))
        taught_by = TeacherReference(model="cifar/resnet20", training_key=teacher.training.key())
        student = create(run_spec(teacher=taught_by))
        for attempt in (1, 2):
            assert row(first).withdrawn is False, attempt
            with transaction() as session:
                service.fail(session, claimed(student), "artifact", "w.safetensors is missing.", max_attempts=2)
        assert (row(student).state, row(first).state, row(first).withdrawn) == ("failed", "finished", True)
        second = create(teacher, "teacher")
        assert second != first
        finish(claimed(second), weights=reference("again.safetensors"))
        assert claimed(create(run_spec(teacher=taught_by))).teacher_weights == reference("again.safetensors")

    def test_student_without_its_teacher_fails_at_once(self) -> None:
        orphan = run_spec(teacher=TeacherReference(model="cifar/resnet20", training_key="0" * 64))
        run_id = create(orphan)
        assert next_claim("a") is None
        assert row(run_id).failure == "The weights of cifar/resnet20 are not in the store."


class TestReport:
    def test_measurements_are_written_once_and_replaced(self) -> None:
        run_id = create(run_spec())
        held = claimed(run_id)
        for loss in (2.0, 1.0):
            both = {"train_loss": loss, "validation_accuracy": 0.5}
            report(held, Report(measured=(Measured(run_id=run_id, step=7, epoch=1, values=both),)))
        with transaction() as session:
            found = {found.name: found.value for found in session.scalars(select(Measurement))}
        assert found == {"train_loss": 1.0, "validation_accuracy": 0.5}

    def test_extends_the_lease(self) -> None:
        run_id = create(run_spec())
        held = claimed(run_id)
        let_lease_expire(run_id)
        assert report(held) is Answer.HELD
        assert claim(run_id, "b") is None

    def test_notice_reaches_the_live_jobs_of_the_run(self) -> None:
        run_id = create(run_spec())
        with transaction() as session:
            add_job(session, "live", session.get_one(Run, run_id))
            add_job(session, "over", session.get_one(Run, run_id), state="finished")
        held = claimed(run_id)
        notices = [Noticed(run_id=run_id, level="warning", message="clamped")]
        with transaction() as session:
            service.notify(session, held.run_id, notices)
        with transaction() as session:
            assert [(found.job_id, found.data["message"]) for found in session.scalars(select(Event))] == [
                ("live", "clamped")
            ]


class TestEnds:
    def test_every_end_wakes_the_live_jobs(self) -> None:
        run_id = create(run_spec())
        with transaction() as session:
            for job_id, state in (("one", "running"), ("two", "cancelling"), ("over", "finished")):
                add_job(session, job_id, session.get_one(Run, run_id), state=state)
        finish(claimed(run_id))
        assert sorted(messages("advance_job")) == ["one", "two"]

    @pytest.mark.parametrize(("kind", "attempts"), [("diverged", 1), ("data", 1), ("invalid", 1), ("out_of_memory", 3)])
    def test_only_what_may_help_is_tried_again(self, kind: str, attempts: int) -> None:
        run_id = create(run_spec())
        for attempt in range(1, attempts + 1):
            held = claimed(run_id)
            with transaction() as session:
                assert service.fail(session, held, kind, "it broke", max_attempts=3)  # type: ignore[arg-type]  # a literal
            assert row(run_id).state == ("failed" if attempt == attempts else "queued")
        assert (row(run_id).failure_kind, row(run_id).failure) == (kind, "it broke")

    def test_deaths_are_counted(self) -> None:
        run_id = create(run_spec())
        for state in ("queued", "queued", "failed"):
            held = claimed(run_id)
            with transaction() as session:
                service.lost(session, held, "by signal 9", max_attempts=3)
            assert row(run_id).state == state
        assert row(run_id).failure == "The training process died 3 times, last by signal 9."

    def test_release_counts_no_attempt_and_sends_again(self) -> None:
        run_id = create(run_spec())
        held = claimed(run_id)
        with transaction() as session:
            assert service.release(session, held)
        assert (row(run_id).state, row(run_id).attempts) == ("queued", 0)
        assert messages("advance_run") == [run_id, run_id]


class TestCancel:
    def test_queued_at_once_running_when_let_go(self) -> None:
        waiting, running = create(run_spec(1)), create(run_spec(2))
        held = claimed(running)
        with transaction() as session:
            service.request_cancel(session, [waiting, running], "mine")
        assert (row(waiting).state, row(running).state) == ("cancelled", "running")
        assert claim(waiting) is None
        assert report(held) is Answer.CANCEL
        with transaction() as session:
            service.release(session, held)
        assert row(running).state == "cancelled"

    def test_a_run_another_live_job_needs_is_left_alone(self) -> None:
        run_id = create(run_spec())
        with transaction() as session:
            run = session.get_one(Run, run_id)
            add_job(session, "mine", run, state="cancelling")
            other = add_job(session, "other", run)
            service.request_cancel(session, [run_id], "mine")
            assert run.state == "queued"
            other.state = "finished"
            service.request_cancel(session, [run_id], "mine")
            assert run.state == "cancelled"

    def test_lost_worker_ends_the_cancellation(self) -> None:
        run_id = create(run_spec())
        claimed(run_id)
        with transaction() as session:
            service.request_cancel(session, [run_id], "mine")
        let_lease_expire(run_id)
        assert claim(run_id, "b") is None
        swept()
        assert row(run_id).state == "cancelled"


class TestSweep:
    def test_expired_lease_goes_back_with_a_message(self) -> None:
        run_id = create(run_spec())
        held = claimed(run_id)
        swept()
        assert row(run_id).state == "running"
        let_lease_expire(run_id)
        swept()
        assert (row(run_id).state, messages("advance_run")) == ("queued", [run_id, run_id])
        assert report(held) is Answer.LOST

    def test_old_message_is_written_again_and_a_young_one_is_not(self) -> None:
        live("a")
        run_id = create(run_spec())
        swept(resend_seconds=60.0)
        assert messages("advance_run") == [run_id]
        with transaction() as session:
            session.execute(update(OutboxMessage).values(sent_at=utc_now()))
            session.execute(update(Run).values(sent_epoch=epoch_now() - 61.0))
        swept(resend_seconds=60.0)
        swept(resend_seconds=60.0)
        assert messages("advance_run") == [run_id, run_id]


def values(run_id: str) -> dict[str, object]:
    found = row(run_id)
    return {column.key: getattr(found, column.key) for column in Run.__table__.columns}


def together(work: object, arguments: int | str) -> None:
    """Runs `work` in several threads, each with its own connection, and waits for all."""
    many = [()] * arguments if isinstance(arguments, int) else [(argument,) for argument in arguments]
    threads = [threading.Thread(target=work, args=one) for one in many]  # type: ignore[arg-type]  # any work
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_clock_is_the_databases(store: Settings) -> None:
    """A clock that answers NULL, as old SQLite's `unixepoch('subsec')` does, would never expire a lease."""
    with transaction() as session:
        first, second = session.scalar(select(epoch_now())), session.scalar(select(epoch_now()))
    assert first is not None
    assert second is not None
    assert 1.7e9 < first <= second
