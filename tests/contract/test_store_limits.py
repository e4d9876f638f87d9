"""What limits of training time, of trainings and of the clock do, on SQLite and on Postgres."""

from __future__ import annotations

import math
from collections import Counter

import pytest

from dpk_core.spec import RunSpec
from service.actions import service as actions
from service.database.session import transaction
from service.database.tables import SelectionJob
from service.runs import service as runs
from service.runs.claims import Answer, Claim, Report
from service.wire.boards import Leaderboard
from service.wire.choices import TeacherChoice
from tests.contract import job_driver as drive
from tests.contract.job_driver import ON_SQLITE, TEACHERS, finished

pytestmark = pytest.mark.usefixtures("store")


def begun(board: Leaderboard) -> set[tuple[str | None, int]]:
    return {(row.teacher, seed.seed) for row in board.rows for seed in row.seeds if seed.rungs}


def trainings(job_id: str) -> set[tuple[str | None, int]]:
    """Teacher and seed of every student's training that was begun, whatever came of it."""
    return {(run.teacher, run.seed) for run in drive.runs_of(job_id) if run.purpose != "teacher"}


def failing(*teachers: str | None, after: float = 0.0) -> drive.Outcomes:
    """Every student of these teachers diverges after some seconds; the others do as always."""

    def outcome(spec: RunSpec) -> drive.Outcome:
        training = spec.training
        diverges = training.role == "student" and (training.teacher.model if training.teacher else None) in teachers
        return drive.Failure("diverged", after) if diverges else drive.by_skill(spec)

    return outcome


def _slow(monkeypatch: pytest.MonkeyPatch, factor: float) -> None:
    """Students take so much longer."""
    steady = drive.seconds_at_end

    def slow(held: Claim) -> float:
        began = held.resume.seconds if held.resume else 0.0
        longer = 1.0 if held.spec.training.role == "teacher" else factor
        return began + longer * (steady(held) - began)

    monkeypatch.setattr(drive, "seconds_at_end", slow)


def _time_passes(job_id: str, seconds: float) -> None:
    """As if the job had started so much earlier."""
    with transaction() as session:
        job = session.get_one(SelectionJob, job_id)
        assert job.started_epoch is not None
        job.started_epoch -= seconds


class TestLimits:
    @ON_SQLITE
    @pytest.mark.parametrize("policy", ["adaptive", "exhaustive"])
    @pytest.mark.parametrize("runs", [2, 3, 5, 7])
    def test_no_more_trainings_begin_than_may(self, policy: str, runs: int) -> None:
        assert len(begun(finished(policy=policy, runs=runs))) <= runs

    @ON_SQLITE
    @pytest.mark.parametrize("policy", ["adaptive", "halving", "exhaustive"])
    @pytest.mark.parametrize("runs", [2, 3, 5])
    def test_trainings_that_fail_have_begun_too(self, policy: str, runs: int) -> None:
        job_id = drive.submit(drive.request(policy=policy, runs=runs))
        drive.run_to_end(job_id, failing(*TEACHERS[1:]))
        assert drive.job(job_id).state == "finished"
        assert 1 < len(trainings(job_id)) <= runs

    @ON_SQLITE
    def test_few_trainings_still_say_whether_the_likeliest_helps(self) -> None:
        board = finished(runs=6)
        assert board.verdict is not None
        assert board.verdict.best == "cifar/resnet20"
        assert Counter(row.status for row in board.rows) == {"finished": 2, "stopped": 1, "not_promoted": 1}

    @ON_SQLITE
    @pytest.mark.parametrize("policy", ["adaptive", "halving", "exhaustive"])
    @pytest.mark.parametrize("seconds", [1.0, 20.0, 34.0, 60.0])
    def test_no_more_training_time_is_spent_than_may(self, policy: str, seconds: float) -> None:
        board = finished(policy=policy, seconds=seconds)
        pilot = 2 * 2.0  # before anything is timed, two first steps
        assert board.ledger.spent - board.ledger.teachers <= max(seconds, pilot)

    @ON_SQLITE
    @pytest.mark.parametrize(("seconds", "seeds"), [(28.0, {0}), (46.0, {0, 1})])
    def test_time_that_suffices_for_the_likeliest_and_no_teacher_is_spent_on_them(
        self, seconds: float, seeds: set[int]
    ) -> None:
        assert {seed for teacher, seed in begun(finished(seconds=seconds)) if teacher is None} == seeds

    @ON_SQLITE
    def test_time_that_does_not_suffice_for_them_is_the_reason(self) -> None:
        board = finished(seconds=14.0)
        assert (None, 0) not in begun(board)
        assert board.decisions[-1].reason.endswith(
            "What is left of the limit does not suffice for the likeliest teacher and the student without one."
        )

    @ON_SQLITE
    @pytest.mark.parametrize("seconds", [300.0, 10_000.0])
    def test_while_nothing_is_timed_the_next_likeliest_are_tried(
        self, monkeypatch: pytest.MonkeyPatch, seconds: float
    ) -> None:
        _slow(monkeypatch, 100.0)
        job_id = drive.submit(drive.request(seconds=seconds))
        drive.advance(job_id)
        while not (decisions := drive.board(job_id).decisions):
            drive.step(job_id)
        piloted = {step.teacher for step in decisions[0].steps}
        drive.run_to_end(job_id, failing(*piloted))
        board = drive.board(job_id)
        assert {step.teacher for step in board.decisions[1].steps} == {*TEACHERS} - piloted
        assert 0 < board.ledger.spent - board.ledger.teachers <= seconds
        assert bool(drive.runs_of(job_id, purpose="full")) == (seconds > 8 * 100)

    @ON_SQLITE
    def test_where_nothing_can_be_timed_no_full_training_begins(self, monkeypatch: pytest.MonkeyPatch) -> None:
        _slow(monkeypatch, 100.0)
        job_id = drive.submit(drive.request(seconds=300.0))
        drive.run_to_end(job_id, failing(*TEACHERS))
        assert trainings(job_id) == {(teacher, 0) for teacher in TEACHERS}
        assert drive.board(job_id).decisions[-1].reason == "Nothing could be timed."

    @ON_SQLITE
    def test_pilots_that_fail_end_with_the_time(self) -> None:
        job_id = drive.submit(drive.request(seconds=1.0))
        drive.run_to_end(job_id, failing(*TEACHERS, after=1.5))
        assert len(trainings(job_id)) == 2

    @ON_SQLITE
    def test_reused_runs_are_not_spent(self) -> None:
        finished(policy="exhaustive", seconds=1000.0)
        board = finished(policy="exhaustive", seconds=1000.0)
        assert begun(board) == {(teacher, seed) for teacher in (*TEACHERS, None) for seed in (0, 1)}

    @ON_SQLITE
    @pytest.mark.parametrize("policy", ["adaptive", "halving", "exhaustive"])
    @pytest.mark.parametrize("limit", [{"seconds": 6.0}, {"runs": 2}])
    def test_what_the_store_holds_is_had_within_any_limit(self, policy: str, limit: dict[str, float]) -> None:
        finished(policy="exhaustive")
        board = finished(policy=policy, **limit)
        assert board.ledger.spent == 0
        assert board.verdict is not None
        assert board.verdict.best == "cifar/resnet20"

    @ON_SQLITE
    @pytest.mark.parametrize("limit", [{"seconds": 6.0}, {"runs": 2}])
    def test_it_does_not_make_room_for_more_than_the_limit(self, limit: dict[str, float]) -> None:
        finished("cifar/resnet8w8", policy="exhaustive", promote=1)
        board = finished(policy="exhaustive", **limit)
        assert {("cifar/resnet8w8", 0), ("cifar/resnet8w8", 1), (None, 0), (None, 1)} <= begun(board)
        assert board.ledger.spent - board.ledger.teachers <= limit.get("seconds", math.inf)
        assert len(begun(board)) <= 4 + limit.get("runs", math.inf)

    @ON_SQLITE
    def test_it_leaves_room_for_a_teacher_that_is_added(self) -> None:
        early, late = TEACHERS[0], TEACHERS[2]
        finished(early, policy="exhaustive", promote=1)
        job_id = drive.submit(drive.request(early, policy="exhaustive", promote=1, runs=4))
        drive.run_to_end(job_id)
        assert drive.board(job_id).ledger.spent == 0
        assert actions.add_teacher(job_id, TeacherChoice(model=late)).state == "running"
        drive.run_to_end(job_id)
        assert drive.board(job_id).job.state == "finished"
        assert {run.seed for run in drive.runs_of(job_id) if run.teacher == late} == {0, 1}

    @ON_SQLITE
    def test_going_on_costs_what_is_missing(self) -> None:
        finished(rungs=[6, 8], policy="halving", promote=1)
        # Of the third teacher two seeds lack the last two epochs; from the start they would take eight each.
        board = finished(policy="exhaustive", seconds=9.0)
        assert board.ledger.spent == 4.0
        assert begun(board) == {(teacher, seed) for teacher in (*TEACHERS, None) for seed in (0, 1)}

    def test_after_the_wall_clock_time_nothing_begins(self) -> None:
        board = finished(wall_seconds=1e-6)
        assert begun(board) == set()
        assert board.job.state == "finished"
        assert {row.status for row in board.rows} <= {"stopped", "not_promoted"}
        assert board.verdict is not None
        assert (board.verdict.kind, board.job.verdict_kind, board.job.leader) == ("undecided", "undecided", None)
        (only,) = board.decisions
        assert (only.stage, only.steps) == ("confirming", [])
        assert "wall-clock" in only.reason
        assert finished(wall_seconds=3600.0).verdict != board.verdict

    def test_when_the_time_is_over_what_is_under_way_ends_and_the_rest_is_told(self) -> None:
        job_id = drive.submit(drive.request(wall_seconds=3600.0, policy="exhaustive"))
        while not drive.runs_of(job_id, "finished", purpose="full"):
            if not drive.step(job_id):
                drive.advance(job_id)
        held = drive.claim(drive.runs_of(job_id, "queued")[0].id)
        _time_passes(job_id, 3601.0)
        drive.advance(job_id)
        assert drive.job(job_id).state == "running", "a process still holds a run"
        with transaction() as session:
            assert runs.report(session, held, Report(step=1), lease_seconds=60) is Answer.CANCEL
            runs.release(session, held)
        drive.advance(job_id)
        board = drive.board(job_id)
        assert board.job.state == "finished"
        assert not drive.runs_of(job_id, "queued", "running")
        assert board.verdict is not None
        assert board.verdict.final
        assert "wall-clock" in board.decisions[-1].reason
        assert {"stopped", "not_promoted"} >= {row.status for row in board.rows if row.status != "finished"}

    def test_when_the_time_is_over_others_keep_their_runs(self) -> None:
        short = drive.submit(drive.request(wall_seconds=3600.0))
        drive.advance(short)
        patient = drive.submit()
        drive.advance(patient)
        shared = {run.id for run in drive.runs_of(patient, "queued")}
        _time_passes(short, 3601.0)
        drive.advance(short)
        assert drive.job(short).state == "finished"
        assert not drive.runs_of(short)
        assert {run.id for run in drive.runs_of(patient, "queued")} == shared
        drive.run_to_end(patient)
        assert drive.final_verdict(patient)["best"] == "cifar/resnet20"
