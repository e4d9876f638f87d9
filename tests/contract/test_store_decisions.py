"""Decisions on SQLite and on Postgres: who trains next, what is reused, and that chains of rungs are one training."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from sqlalchemy import select

from dpk_core.codec import from_json
from dpk_core.protocol import RunResult
from dpk_core.spec import RunSpec
from service.database.session import reading
from service.database.tables import Decision
from service.runs.claims import Claim
from service.wire.choices import ModelChoice
from service.wire.setting_choices import MethodChoice
from tests.contract import job_driver as drive
from tests.contract.job_driver import ON_SQLITE, TEACHERS, finished

pytestmark = pytest.mark.usefixtures("store")


class TestRungs:
    @ON_SQLITE
    def test_a_training_goes_on_from_rung_to_rung(self) -> None:
        board = finished(policy="halving")
        runs = [run for run in drive.runs_of(board.job.id) if run.teacher == "cifar/resnet20" and run.seed == 0]
        assert {(run.spec["stop_epoch"], run.seconds) for run in runs} == {(2, 2.0), (4, 2.0), (8, 4.0)}
        assert len({run.training_key for run in runs}) == 1

    def test_a_rung_that_was_passed_without_stopping_is_known(self) -> None:
        board = finished(slots=2)
        best = next(row for row in board.rows if row.teacher == "cifar/resnet20")
        second = [run for run in drive.runs_of(board.job.id) if run.teacher == best.teacher and run.seed == 1]
        assert {run.spec["stop_epoch"] for run in second} == {4, 8}
        assert [at.epochs for at in best.seeds[1].rungs] == [2, 4, 8]
        assert best.seeds[1].rungs[0].score == pytest.approx(0.88 + 0.004 - 0.3 * (1 - 2 / 8))

    @ON_SQLITE
    def test_rungs_that_another_job_trained_are_known_too(self) -> None:
        finished(rungs=[1, 8], policy="exhaustive")
        again = finished(rungs=[4, 6, 8], policy="exhaustive")
        assert again.ledger.spent == 0
        assert all([at.epochs for at in seed.rungs] == [4, 6, 8] for row in again.rows for seed in row.seeds)

    @ON_SQLITE
    def test_a_teacher_trained_fully_while_exploring_is_finished_whoever_is_promoted(self) -> None:
        board = finished(policy="exhaustive", promote=1)
        assert {row.teacher: row.status for row in board.rows} == dict.fromkeys((*TEACHERS, None), "finished")

    @ON_SQLITE
    def test_a_checkpoint_of_another_job_is_gone_on_with(self) -> None:
        finished(rungs=[4, 8], policy="halving", promote=1)
        longer = finished(rungs=[2, 8], policy="exhaustive", promote=1)
        gone_on = [run for run in drive.runs_of(longer.job.id, purpose="full") if run.teacher == "cifar/resnet8w8"]
        assert {run.seconds for run in gone_on} == {4.0}
        row = next(row for row in longer.rows if row.teacher == "cifar/resnet8w8")
        assert [at.epochs for at in row.seeds[0].rungs] == [2, 8]


class TestDecisions:
    @ON_SQLITE
    @pytest.mark.parametrize(
        ("policy", "slots", "seed"),
        [("adaptive", 1, 0), ("adaptive", 2, 1), ("adaptive", 5, 2), ("halving", 1, 3), ("exhaustive", 2, 4),
         ("teacher_accuracy", 1, 5)],
    )  # fmt: skip
    def test_no_order_of_ends_changes_them(self, policy: str, slots: int, seed: int) -> None:
        first = drive.submit(drive.request(policy=policy, slots=slots))
        drive.run_to_end(first, dice=random.Random(seed))
        listed = [(each.stage, each.steps, each.reason, each.chances) for each in drive.board(first).decisions]
        again = drive.submit(drive.request(policy=policy, slots=slots))
        drive.advance(again)  # everything is reused
        assert [(each.stage, each.steps, each.reason, each.chances) for each in drive.board(again).decisions] == listed
        assert drive.final_verdict(again) == drive.final_verdict(first)
        assert drive.statuses(again) == drive.statuses(first)

    @ON_SQLITE
    @pytest.mark.parametrize("teacher", TEACHERS)
    @pytest.mark.parametrize("order", ["failing first", "any"])
    def test_no_order_of_ends_changes_them_where_a_training_fails(
        self, monkeypatch: pytest.MonkeyPatch, teacher: str, order: str
    ) -> None:
        """Where the failing one is the lead, it is promoted by a clock that has not seen its failure yet."""

        def seconds(held: Claim) -> float:
            taught = held.spec.training.teacher
            pace = 4.0 if taught is not None and taught.model == teacher else 1.0
            epoch, before = (0, 0.0) if held.resume is None else (held.resume.epoch, held.resume.seconds)
            return before + pace * (held.spec.stop_epoch - epoch)

        def fails(spec: RunSpec) -> bool:
            taught = spec.training.teacher
            return taught is not None and (taught.model, spec.training.seed) == (teacher, 1)

        def outcomes(spec: RunSpec) -> drive.Outcome:
            return drive.Failure("The pictures are gone.") if fails(spec) else drive.by_skill(spec)

        monkeypatch.setattr(drive, "seconds_at_end", seconds)
        wanted = drive.request(slots=4, seeds=3, promote=1, chance=0.999)
        first = drive.submit(wanted)
        drive.run_to_end(first, outcomes)
        # Another profile is other content: nothing of the first job is reused.
        other = drive.submit(wanted.model_copy(update={"method": MethodChoice(profile="paper")}))
        if order == "any":
            drive.run_to_end(other, outcomes, dice=random.Random(1))
        else:
            drive.advance(other)
            while waiting := [(run.id, from_json(RunSpec, run.spec)) for run in drive.runs_of(other, "queued")]:
                run_id, spec = next((each for each in waiting if fails(each[1])), waiting[0])
                drive.end(drive.claim(run_id), outcomes(spec))
                drive.advance(other)
        found, again = (
            [(each.stage, each.steps, each.reason, each.chances) for each in drive.board(job).decisions]
            for job in (first, other)
        )
        assert again == found
        assert drive.statuses(other) == drive.statuses(first)

    @ON_SQLITE
    @pytest.mark.parametrize("seed", range(3))
    def test_a_machine_that_is_now_busy_and_now_idle_changes_nothing(
        self, monkeypatch: pytest.MonkeyPatch, seed: int
    ) -> None:
        listed = [(each.steps, each.chances) for each in finished().decisions]
        dice, steady = random.Random(seed), drive.result

        def unsteady(held: Claim, accuracy: float) -> RunResult:
            found = steady(held, accuracy)
            return replace(found, seconds=found.seconds * dice.uniform(0.85, 1.15))

        monkeypatch.setattr(drive, "result", unsteady)
        # Another profile is other content: nothing of the first job is reused.
        other = drive.submit(drive.request().model_copy(update={"method": MethodChoice(profile="paper")}))
        drive.run_to_end(other)
        assert [(each.steps, each.chances) for each in drive.board(other).decisions] == listed

    def test_each_is_stored_once_and_told(self) -> None:
        board = finished(policy="halving")
        with reading() as session:
            stored = session.scalars(
                select(Decision).where(Decision.job_id == board.job.id).order_by(Decision.number)
            ).all()
        assert [row.number for row in stored] == [each.number for each in board.decisions] == [1, 2, 3, 4]
        listed = [event.data["number"] for event in drive.events_of(board.job.id) if event.kind == "decision"]
        assert listed == [1, 2, 3, 4]

    @ON_SQLITE
    def test_a_round_waits_for_all_of_the_one_before(self) -> None:
        job_id = drive.submit(drive.request(policy="halving"))
        drive.advance(job_id)
        while len(drive.runs_of(job_id, "queued")) > 1 or not drive.board(job_id).decisions:
            drive.step(job_id)
        assert len(drive.board(job_id).decisions) == 1
        drive.step(job_id)
        assert len(drive.board(job_id).decisions) == 2

    def test_a_step_that_was_cancelled_with_another_job_is_made_again(self) -> None:
        first = drive.submit(drive.request(policy="halving"))
        drive.advance(first)
        while not drive.board(first).decisions:
            drive.step(first)
        drive.cancel(first)
        second = drive.submit(drive.request(policy="halving"))
        drive.run_to_end(second)
        assert drive.job(second).state == "finished"
        assert drive.board(second).ledger.exploring == 28


class TestConfirming:
    @ON_SQLITE
    def test_the_audit_trains_a_dropped_teacher_and_says_so(self) -> None:
        board = finished(audit=1.0)
        rows = {row.teacher: row for row in board.rows}
        assert rows["cifar/resnet8w8"].status == "finished"
        assert "audit" in (rows["cifar/resnet8w8"].reason or "")
        assert {step.purpose for each in board.decisions for step in each.steps} == {"explore", "confirm", "audit"}
        assert finished(audit=0.0).ledger.audit == 0

    @ON_SQLITE
    def test_only_as_many_as_wanted_are_promoted(self) -> None:
        board = finished(promote=1)
        assert {row.teacher: row.status for row in board.rows} == {
            "cifar/resnet20": "finished", "cifar/resnet14w8": "not_promoted", "cifar/resnet8w8": "not_promoted",
            None: "finished",
        }  # fmt: skip

    @ON_SQLITE
    def test_the_cheapest_of_equals_is_taken_on_request(self) -> None:
        def equal(spec: RunSpec) -> float:
            training = spec.training
            if training.role == "teacher":
                return 0.95
            rise = 0.0 if training.teacher is None else 0.05
            wobble = 0.0001 * (len(training.teacher.model) if training.teacher else 0)
            return 0.8 + rise + wobble + 0.002 * training.seed - 0.3 * (1 - spec.stop_epoch / training.recipe.epochs)

        job_id = drive.submit(drive.request(*TEACHERS[1:], prefer_cheaper=True, policy="exhaustive"))
        drive.run_to_end(job_id, equal)
        verdict = drive.final_verdict(job_id)
        assert verdict["kind"] == "tie"
        assert {verdict["best"], *verdict["tied"]} == {"cifar/resnet14w8", "cifar/resnet20"}  # type: ignore[misc]


class TestReuse:
    @ON_SQLITE
    def test_a_finished_run_that_went_further_serves_a_shorter_rung(self) -> None:
        finished(rungs=[8], policy="exhaustive")
        later = drive.submit(drive.request(rungs=[2, 4, 8], policy="halving"))
        drive.advance(later)
        board = drive.board(later)
        assert board.job.state == "finished"
        assert board.ledger.spent == 0
        assert not drive.runs_of(later, purpose="probe")
        assert board.verdict is not None
        assert board.verdict.best == "cifar/resnet20"

    def test_a_second_job_trains_nothing_anew_and_pays_nothing(self) -> None:
        first = drive.submit()
        drive.run_to_end(first)
        second = drive.submit()
        drive.advance(second)
        assert drive.job(second).state == "finished"
        assert drive.final_verdict(second) == drive.final_verdict(first)
        spent, again = drive.board(first).ledger, drive.board(second).ledger
        assert again.spent == 0
        assert again.reused == spent.spent > 0
        assert all(row.seconds == 0 for row in drive.board(second).rows)

    @ON_SQLITE
    def test_another_student_reuses_the_teachers_only(self) -> None:
        drive.run_to_end(drive.submit())
        other = drive.submit(
            drive.request(policy="halving").model_copy(update={"student": ModelChoice(model="cifar/resnet8")})
        )
        drive.advance(other)
        assert {run.state for run in drive.runs_of(other, purpose="teacher")} == {"finished"}
        assert {run.state for run in drive.runs_of(other, purpose="probe")} == {"queued"}

    def test_the_store_informs_later_jobs_about_other_students_only(self) -> None:
        first = drive.submit(drive.request(policy="halving"))
        drive.run_to_end(first)
        other = drive.submit(
            drive.request(policy="halving").model_copy(update={"student": ModelChoice(model="cifar/resnet8")})
        )
        drive.run_to_end(other)
        before = drive.board(first)
        store = {found.scope: found for found in drive.board(other).correlations if found.name == "teacher_full"}
        assert store["job"].pairs == 2
        assert store["store"].pairs == 4
        assert drive.board(first) == before
        assert {found.scope: found.pairs for found in before.correlations if found.name == "teacher_full"} == {
            "job": 2, "store": 2,
        }  # fmt: skip
