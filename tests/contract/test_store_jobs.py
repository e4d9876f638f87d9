"""The life of a job on SQLite and on Postgres, with run results fed by hand."""

from __future__ import annotations

import random
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import func, select

from dpk_core.catalogue import datasets
from dpk_core.catalogue.datasets import dataset_card
from dpk_core.spec import RunSpec
from service.database.session import reading, transaction
from service.database.tables import IdempotencyKey, OutboxMessage, SelectionJob
from service.health.service import readiness
from service.problems import Conflict, NotFound, Rejected
from service.selection_jobs import service
from tests.contract import job_driver as drive
from tests.contract.job_driver import ON_SQLITE, TEACHERS, Failure, Outcome, by_skill

pytestmark = pytest.mark.usefixtures("store")


class TestSubmit:
    def test_everything_is_there_at_once(self) -> None:
        job_id = drive.submit(key="k")
        job = drive.job(job_id)
        assert (job.state, job.stage, job.revision) == ("queued", None, 1)
        assert list(drive.statuses(job_id)) == [*TEACHERS, None]
        assert [event.kind for event in drive.events_of(job_id)] == ["created"]
        with reading() as session:
            assert session.scalars(select(OutboxMessage.task)).all() == ["advance_job"]

    def test_what_is_refused_leaves_nothing(self) -> None:
        with pytest.raises(Rejected):
            drive.submit(drive.request("cifar/resnet8w8", "cifar/resnet8w8"), key="k")
        with reading() as session:
            for table in (SelectionJob, IdempotencyKey, OutboxMessage):
                assert session.scalar(select(func.count()).select_from(table)) == 0

    def test_same_key_and_request_is_the_same_job(self) -> None:
        assert drive.submit(key="k") == drive.submit(key="k") != drive.submit(key="other")

    def test_same_key_for_another_request_is_refused(self) -> None:
        drive.submit(key="k")
        with pytest.raises(Rejected, match="another request") as refused:
            drive.submit(drive.request(seeds=3), key="k")
        assert refused.value.errors[0].field == "Idempotency-Key"

    def test_replays_on_changed_data_that_overtake_each_other_make_one_new_job(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first = drive.submit(key="k")
        monkeypatch.setattr(datasets, "DIGITS", replace(datasets.DIGITS, fingerprint="sha256:other"))
        with ThreadPoolExecutor(4) as pool:
            ids = set(pool.map(lambda _: drive.submit(key="k"), range(4)))
        assert len(ids) == 1
        assert first not in ids
        with reading() as session:
            assert session.scalar(select(func.count()).select_from(SelectionJob)) == 2

    def test_requests_that_overtake_each_other_make_one_job(self) -> None:
        with ThreadPoolExecutor(8) as pool:
            ids = set(pool.map(lambda _: drive.submit(key="k"), range(8)))
        assert len(ids) == 1
        with reading() as session:
            assert session.scalar(select(func.count()).select_from(SelectionJob)) == 1

    def test_without_a_key_every_request_is_a_job(self) -> None:
        assert drive.submit() != drive.submit()


class TestLife:
    def test_stages_follow_each_other_to_the_verdict(self) -> None:
        job_id = drive.submit()
        drive.run_to_end(job_id)
        kinds = [event.kind for event in drive.events_of(job_id)]
        stages = [event.data["stage"] for event in drive.events_of(job_id) if event.kind == "stage_changed"]
        assert stages == ["preparing_teachers", "exploring", "confirming", "deciding"]
        assert kinds[0] == "created"
        assert kinds[-1] == "finished"
        job = drive.job(job_id)
        assert (job.state, job.stage) == ("finished", "deciding")
        assert job.revision == len(kinds)
        assert job.remaining_seconds is None
        assert {stage.state for stage in job.progress} == {"done"}
        assert [stage.done for stage in job.progress] == [stage.total for stage in job.progress]

    def test_students_train_when_all_teachers_are_ready(self) -> None:
        job_id = drive.submit()
        drive.advance(job_id)
        for _ in TEACHERS:
            assert Counter(run.purpose for run in drive.runs_of(job_id)) == {"teacher": 3}
            assert drive.board(job_id).decisions == []
            drive.step(job_id)
        assert [run.teacher for run in drive.runs_of(job_id, "queued")] != []
        assert drive.stage_of(job_id) == "exploring"
        (first,) = drive.board(job_id).decisions
        assert {status for name, (status, _) in drive.statuses(job_id).items() if name} <= {"exploring", "prepared"}
        assert {step.teacher for step in first.steps} <= {*TEACHERS}
        assert {step.epochs for step in first.steps} == {2}

    def test_advancing_again_changes_nothing(self) -> None:
        job_id = drive.submit()
        drive.advance(job_id)
        while drive.step(job_id):
            before = (drive.job(job_id), len(drive.events_of(job_id)), len(drive.runs_of(job_id)))
            drive.advance(job_id)
            assert (drive.job(job_id), len(drive.events_of(job_id)), len(drive.runs_of(job_id))) == before
        drive.advance("no such job")

    @ON_SQLITE
    def test_the_promoted_and_the_baseline_are_trained_fully(self) -> None:
        job_id = drive.submit()
        drive.run_to_end(job_id)
        found = drive.statuses(job_id)
        assert {name: status for name, (status, _) in found.items()} == {
            "cifar/resnet8w8": "not_promoted", "cifar/resnet14w8": "not_promoted", "cifar/resnet20": "finished",
            None: "finished",
        }, "the second was ruled out before its training was full"  # fmt: skip
        assert "Was best with a chance of 9% after rung 1 of 3" in (found["cifar/resnet8w8"][1] or "")
        assert {run.teacher for run in drive.runs_of(job_id, purpose="full")} == {TEACHERS[-1], None}
        assert drive.final_verdict(job_id)["best"] == "cifar/resnet20"

    def test_each_end_of_a_run_is_told_once(self) -> None:
        job_id = drive.submit()
        drive.run_to_end(job_id)
        listed = [event.data["run_id"] for event in drive.events_of(job_id) if event.kind == "run_finished"]
        assert sorted(listed) == sorted(run.id for run in drive.runs_of(job_id))

    @ON_SQLITE
    def test_what_is_decided_never_sees_the_test_split(self) -> None:
        job_id = drive.submit()
        drive.run_to_end(job_id)
        rows = {row.teacher: row for row in drive.board(job_id).rows}
        best = rows["cifar/resnet20"]
        assert best.full is not None
        assert best.test is not None
        assert best.expected is not None
        assert best.full.mean == pytest.approx(2 * best.test.mean)
        assert best.expected.value == pytest.approx(best.full.mean, abs=0.01)

    @pytest.mark.parametrize("seed", range(2))
    def test_the_order_of_ends_changes_nothing(self, seed: int) -> None:
        job_id = drive.submit(drive.request(margin=0.0))
        drive.run_to_end(job_id, dice=random.Random(seed))
        verdict = drive.final_verdict(job_id)
        assert (verdict["kind"], verdict["best"], verdict["tied"]) == ("best", "cifar/resnet20", [])
        assert verdict["sentence"] == "Take resnet20: it beats no teacher by 8.1 points (90% interval 6.0 to 10.1)."
        board = drive.board(job_id)
        assert [row.teacher for row in board.rows] == [*TEACHERS[::-1], None]
        listed = [
            (each.stage, *[(step.teacher, step.seed, step.epochs) for step in each.steps]) for each in board.decisions
        ]
        assert listed[:3] == [("exploring", (teacher, 0, 2)) for teacher in sorted(TEACHERS)]
        pair = [("confirming", (teacher, seed, 8)) for seed in (0, 1) for teacher in (TEACHERS[-1], None)]
        assert set(pair) <= set(listed)
        reasons = {name: reason for name, (_, reason) in drive.statuses(job_id).items()}
        assert reasons[None] == "Always trained fully: it is what every teacher is measured against."
        said = r"Was best with a chance of (<1|\d+)% after .*: \d\d\.\d%; .*the last one promoted, resnet20, .*%\."
        assert re.fullmatch(said, reasons["cifar/resnet8w8"] or ""), reasons["cifar/resnet8w8"]


class TestTogether:
    def test_one_job_advanced_by_many_at_once_is_advanced_once(self) -> None:
        job_id = drive.submit()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: drive.advance(job_id), range(8)))
        assert Counter(run.purpose for run in drive.runs_of(job_id)) == {"teacher": 3}
        assert Counter(event.kind for event in drive.events_of(job_id)) == {
            "created": 1,
            "stage_changed": 1,
            "verdict": 1,
        }

    def test_jobs_that_want_the_same_runs_in_another_order_share_them(self) -> None:
        jobs = [drive.submit(drive.request(*TEACHERS[::direction])) for direction in (1, -1) for _ in range(3)]
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(drive.advance, jobs))
        assert len({tuple(run.id for run in drive.runs_of(job_id)) for job_id in jobs}) == 1

    @pytest.mark.parametrize("seed", range(2))
    def test_jobs_that_overlap_train_nothing_twice(self, seed: int) -> None:
        dice = random.Random(seed)
        jobs = [
            drive.submit(drive.request(*TEACHERS[1:], policy="halving")),
            drive.submit(drive.request(*TEACHERS[::-1])),
            drive.submit(drive.request(*TEACHERS, rungs=[4, 8], policy="exhaustive")),
        ]
        for job_id in jobs:
            drive.advance(job_id)
        waiting = list(jobs)
        while waiting:
            job_id = dice.choice(waiting)
            if not drive.step(job_id, dice=dice):
                drive.advance(job_id)
                waiting = [each for each in waiting if drive.job(each).state != "finished"]
        runs = {run.id: run for job_id in jobs for run in drive.runs_of(job_id)}
        assert len({run.content_key for run in runs.values()}) == len(runs)
        best = [drive.final_verdict(job_id)["best"] for job_id in jobs]
        assert best == ["cifar/resnet20"] * 3


class TestQuestions:
    @pytest.mark.parametrize("job_id", ["", "\x00", "a\x00", "../x", "ä" * 40])
    def test_an_id_that_is_none_is_not_found(self, job_id: str) -> None:
        with pytest.raises(NotFound), reading() as session:
            service.get(session, job_id)
        with pytest.raises(NotFound):
            drive.cancel(job_id)

    def test_the_store_is_ready_where_it_was_migrated(self) -> None:
        assert readiness().parts == ["database", "schema", "broker"]


class TestFailures:
    @ON_SQLITE
    def test_a_teacher_that_fails_drops_out_alone(self) -> None:
        def outcomes(spec: RunSpec) -> Outcome:
            broken = spec.training.role == "teacher" and spec.training.model == "cifar/resnet20"
            return Failure("The loss is not finite.") if broken else by_skill(spec)

        job_id = drive.submit()
        drive.run_to_end(job_id, outcomes)
        assert drive.job(job_id).state == "finished"
        assert drive.statuses(job_id)["cifar/resnet20"] == ("failed", "The preparation failed: The loss is not finite.")
        assert not [run for run in drive.runs_of(job_id) if run.teacher == "cifar/resnet20"]
        assert drive.final_verdict(job_id)["best"] == "cifar/resnet14w8"
        row = next(row for row in drive.board(job_id).rows if row.teacher == "cifar/resnet20")
        assert (row.rank, row.status) == (None, "failed")

    @ON_SQLITE
    @pytest.mark.parametrize("seed", range(2))
    def test_a_training_that_fails_takes_its_arm_out_in_any_order_and_another_takes_its_place(self, seed: int) -> None:
        def outcomes(spec: RunSpec) -> Outcome:
            training = spec.training
            broken = training.teacher is not None and training.teacher.model == "cifar/resnet20" and training.seed == 1
            return Failure("Boom.") if broken else by_skill(spec)

        job_id = drive.submit()
        drive.run_to_end(job_id, outcomes, random.Random(seed))
        assert drive.statuses(job_id)["cifar/resnet20"] == (
            "failed", "The training with seed 1 failed: Boom.",
        )  # fmt: skip
        assert Counter(run.state for run in drive.runs_of(job_id) if run.teacher == "cifar/resnet20")["failed"] == 1
        assert drive.final_verdict(job_id)["best"] == "cifar/resnet14w8"
        assert drive.job(job_id).state == "finished"

    @ON_SQLITE
    def test_a_full_training_that_fails_takes_its_arm_out(self) -> None:
        def outcomes(spec: RunSpec) -> Outcome:
            teacher = spec.training.teacher
            broken = teacher is not None and teacher.model == "cifar/resnet20" and spec.is_full
            return Failure("Boom.") if broken else by_skill(spec)

        job_id = drive.submit()
        drive.run_to_end(job_id, outcomes)
        assert drive.statuses(job_id)["cifar/resnet20"][0] == "failed"
        assert drive.final_verdict(job_id)["best"] == "cifar/resnet14w8"

    def test_when_all_fail_the_job_says_why(self) -> None:
        job_id = drive.submit()
        drive.run_to_end(job_id, lambda spec: Failure(f"No {spec.training.role}."))
        job = drive.job(job_id)
        assert job.state == "failed"
        assert job.failure == (
            "No training finished. resnet8w8, resnet14w8, resnet20: No teacher. no teacher: No student."
        )
        assert drive.events_of(job_id)[-1].kind == "failed"


class TestCancel:
    @pytest.mark.parametrize("ended", [0, 1, 3, 4, 5, 8, 10])
    def test_at_any_stage_what_waits_is_dropped(self, ended: int) -> None:
        job_id = drive.submit()
        drive.advance(job_id)
        for _ in range(ended):
            assert drive.step(job_id)
        assert drive.cancel(job_id).state == "cancelled"
        assert drive.runs_of(job_id, "queued", "running") == []
        assert drive.events_of(job_id)[-1].kind == "cancelled"
        assert not {status for status, _ in drive.statuses(job_id).values()} & {
            "waiting", "preparing", "prepared", "exploring", "promoted", "stopped",
        }  # fmt: skip
        assert drive.board(job_id).verdict is None
        drive.advance(job_id)
        assert drive.job(job_id).state == "cancelled"

    def test_before_the_worker_saw_it(self) -> None:
        job_id = drive.submit()
        assert drive.cancel(job_id).state == "cancelled"

    def test_it_waits_until_the_process_is_gone(self) -> None:
        job_id = drive.submit()
        drive.advance(job_id)
        held = drive.claim(drive.runs_of(job_id, "queued")[0].id)
        assert drive.cancel(job_id).state == "cancelling"
        assert drive.cancel(job_id).state == "cancelling"
        drive.end(held, Failure("stopped"))
        drive.advance(job_id)
        assert drive.job(job_id).state == "cancelled"
        assert Counter(event.kind for event in drive.events_of(job_id))["cancelling"] == 1

    def test_it_does_not_wait_for_what_another_job_needs(self) -> None:
        first, second = drive.submit(), drive.submit()
        drive.advance(first)
        held = drive.claim(drive.runs_of(first, "queued", purpose="teacher")[0].id)
        drive.advance(second)
        assert drive.cancel(first).state == "cancelled"
        drive.end(held, 0.9)
        drive.run_to_end(second)
        assert drive.job(second).state == "finished"

    def test_a_run_cancelled_for_another_job_is_made_again(self) -> None:
        first = drive.submit()
        drive.advance(first)
        drive.cancel(first)
        second = drive.submit()
        drive.run_to_end(second)
        assert drive.job(second).state == "finished"

    def test_again_changes_nothing_and_an_ended_job_refuses(self) -> None:
        job_id = drive.submit()
        drive.cancel(job_id)
        events = len(drive.events_of(job_id))
        assert drive.cancel(job_id).state == "cancelled"
        assert len(drive.events_of(job_id)) == events
        finished = drive.submit(drive.request(seeds=1))
        drive.run_to_end(finished)
        with pytest.raises(Conflict, match="finished"):
            drive.cancel(finished)


class TestReading:
    @ON_SQLITE
    def test_the_setup_says_what_the_defaults_came_to(self) -> None:
        board = drive.board(drive.submit(drive.request(seeds=2)))
        digits = dataset_card("digits", None, "dataset")
        assert board.setup.seeds == [0, 1]
        assert (board.setup.recipe, board.setup.data_fingerprint) == ("digits", digits.fingerprint)
        assert board.setup.rungs == [2, 4, 8]
        assert board.setup.policy == "adaptive"

    @ON_SQLITE
    def test_the_maps_that_are_compared_are_in_the_job(self) -> None:
        taps = drive.board(drive.submit()).job.taps
        assert set(taps) == set(drive.TEACHERS)
        sides = {stage.stage: (stage.student.side, stage.teacher.side) for stage in taps["cifar/resnet20"]}
        assert sides == {"last": (2, 2), "second_last": (4, 4)}

    def test_pages_go_back_in_time(self) -> None:
        ids = [drive.submit() for _ in range(5)]
        with reading() as session:
            first = service.list_jobs(session, limit=3)
            second = service.list_jobs(session, limit=3, before=first.next_before)
        assert [job.id for job in (*first.jobs, *second.jobs)] == ids[::-1]
        assert second.next_before is None

    def test_a_reader_cannot_write(self) -> None:
        drive.submit()
        with pytest.raises(Exception, match=r"readonly|read-only"), reading() as session:  # noqa: PT012 - the commit may raise too
            session.scalars(select(SelectionJob)).one().state = "finished"
            session.flush()
        with transaction() as session:
            session.scalars(select(SelectionJob)).one().state = "running"

    def test_a_reader_does_not_wait_for_a_writer_and_sees_one_moment(self) -> None:
        drive.submit()
        with transaction() as writer:
            writer.scalars(select(SelectionJob)).one().state = "running"
            writer.flush()
            with reading() as session:
                assert session.scalar(select(SelectionJob.state)) == "queued"

    def test_curves_join_the_runs_of_a_training(self) -> None:
        job_id = drive.submit()
        drive.run_to_end(job_id)
        found = {(curve.label, curve.purpose, curve.seed): curve for curve in drive.board(job_id).curves}
        assert [point.epoch for point in found["resnet20", "student", 0].points] == list(range(1, 9))
        assert found["resnet20", "student", 0].points[0].values["share.last"] == 0.5
        assert [point.epoch for point in found["resnet8w8", "student", 0].points] == [1, 2]
        assert [point.epoch for point in found["resnet20", "teacher", 0].points] == list(range(1, 25))

    def test_the_ledger_adds_up(self) -> None:
        job_id = drive.submit(drive.request(audit=1.0, margin=0.0))
        drive.run_to_end(job_id)
        board = drive.board(job_id)
        ledger = board.ledger
        spent = ledger.teachers, ledger.exploring, ledger.confirming, ledger.audit
        assert sum(spent) > 3 * 24
        assert ledger.audit > 0
        assert ledger.spent == sum(spent) == sum(row.seconds for row in board.rows) == sum(ledger.by_device.values())
        assert ledger.exhaustive == 3 * 24 + 4 * 2 * 8
        assert ledger.saved == ledger.exhaustive - ledger.spent
        assert ledger.devices == ["CPU"]
