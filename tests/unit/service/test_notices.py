"""What a reader must know besides the numbers, read off a job's rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from dpk_core.catalogue.finding import Finding
from dpk_core.chance import is_chance
from dpk_core.selection.decide.policies.policy import Reason, ReasonKind
from dpk_core.selection.decide.schedule import Decision
from service.database.tables import Candidate, JobRun, Run, SelectionJob
from service.database.types import utc_now
from service.scheduling.plan import Spending
from service.scheduling.snapshot import Snapshot, assemble
from service.selection_jobs.notices import cautions, job_notices, row_notices
from tests.unit.service.test_plan_and_progress import PLAN

WEAK, STRONG, ALONE = 0, 1, 2
"""Places of the arms of PLAN."""
EPOCHS = PLAN.epochs
GUESSING = 0.102
HEAD = {"level": "info", "message": "Teacher: the head was drawn anew."}
FOLD = {"level": "info", "message": "Student: its first convolution was folded from 3 channels to 1."}
SHARE = {"level": "warning", "message": "In most steps the share of stage last took its fallback value."}


class Made:
    """A job's rows, made one run at a time."""

    def __init__(self, state: str = "finished", statuses: Mapping[int, str] | None = None) -> None:
        now = utc_now()
        self.job = SelectionJob(
            id="j", state=state, stage="deciding", request={}, plan={}, created_at=now, started_at=now,
            started_epoch=now.timestamp(), finished_at=now + timedelta(seconds=60),
        )  # fmt: skip
        self.arms = [
            Candidate(id=i, job_id="j", position=i, teacher=arm, status=(statuses or {}).get(i, "finished"))
            for i, arm in enumerate(PLAN.arms)
        ]
        self.links: list[tuple[JobRun, Run]] = []

    def run(
        self, arm: int, purpose: str, accuracy: float = 0.9, *notices: dict[str, str], seed: int = 0,
        epochs: int = EPOCHS, state: str = "finished",
    ) -> Made:  # fmt: skip
        """Adds a run."""
        name = f"{arm}-{purpose}-{seed}-{epochs}"
        result: dict[str, Any] = {
            "validation_score": accuracy, "validation_pictures": 539, "test_score": None, "epochs": epochs,
            "guess_score": GUESSING, "near_chance": is_chance(accuracy, 539, GUESSING), "notices": list(notices),
        }  # fmt: skip
        found = Run(
            id=name, training_key=name, state=state, purpose="teacher" if purpose == "teacher" else "full", seed=seed,
            result=result if state == "finished" else None, failure="Boom.", spec={"stop_epoch": epochs},
            notices=list(notices),
        )  # fmt: skip
        link = JobRun(job_id="j", candidate_id=arm, run_id=name, purpose=purpose, seed=seed, reused=False)
        self.links.append((link, found))
        return self

    def snapshot(self, spending: Spending | None = None, reason: ReasonKind = "sure") -> Snapshot:
        plan = replace(PLAN, spending=spending or PLAN.spending, promote=2)
        decisions = [Decision(stage="confirming", reason=Reason(kind=reason), at=0.0)]
        return assemble(self.job, plan, self.arms, self.links, decisions)


def of_row(snapshot: Snapshot, arm: int) -> list[str]:
    return [notice.message for notice in row_notices(snapshot, snapshot.arms[arm])]


def of_job(snapshot: Snapshot) -> list[str]:
    return [notice.message for notice in job_notices(snapshot)]


class TestRow:
    def test_has_each_sentence_of_its_runs_once_warnings_first(self) -> None:
        made = Made().run(STRONG, "teacher", 0.9, HEAD).run(STRONG, "confirm", 0.9, SHARE)
        found = made.run(STRONG, "confirm", 0.9, SHARE, seed=1).run(ALONE, "confirm").snapshot()
        assert of_row(found, STRONG) == [SHARE["message"], HEAD["message"]]
        assert of_row(found, ALONE) == of_job(found) == []

    def test_has_those_of_a_training_that_failed_beside_its_failure(self) -> None:
        made = Made().run(STRONG, "teacher", 0.9, HEAD, state="failed").run(WEAK, "teacher", 0.9, FOLD, state="running")
        assert (of_row(made.snapshot(), STRONG), of_row(made.snapshot(), WEAK)) == ([HEAD["message"]], [])

    def test_what_all_students_were_noticed_for_is_the_jobs(self) -> None:
        made = Made().run(STRONG, "confirm", 0.9, FOLD, SHARE).run(ALONE, "confirm", 0.9, FOLD)
        assert of_job(made.snapshot()) == [FOLD["message"]]
        assert of_row(made.snapshot(), STRONG) == [SHARE["message"]]
        assert of_row(made.snapshot(), ALONE) == []

    def test_marks_a_teacher_that_is_no_better_than_chance_whatever_its_run_said(self) -> None:
        sentence = (
            "The teacher tells the classes no better than chance: 10.6% of 539 validation pictures are right, and"
        )
        known = {"level": "warning", "message": f"{sentence} always naming the most frequent class gets 10.2%."}
        for notices in ((), (known,)):
            (only,) = of_row(Made().run(WEAK, "teacher", 0.106, *notices).snapshot(), WEAK)
            assert only == known["message"]


class TestCautions:
    def test_of_teachers_that_learned_nothing(self) -> None:
        made = Made().run(WEAK, "teacher", 0.1).run(STRONG, "teacher", 0.09)
        (only,) = cautions(made.snapshot())
        assert only.startswith(
            "No teacher tells the classes better than chance: resnet8w8 (10.0%) and resnet20 (9.0%), where always "
            "naming the most frequent class gets 10.2%. So this says nothing about teachers that have learned"
        )

    def test_of_one_teacher_of_two(self) -> None:
        (only,) = cautions(Made().run(WEAK, "teacher", 0.1).run(STRONG, "teacher", 0.9).snapshot())
        assert only.startswith("resnet8w8 (10.0%) tells the classes no better than chance, ")

    @pytest.mark.parametrize(
        ("taught", "so"),
        [(0.1, "Nor does it under any teacher, so nothing can be compared."), (0.5, "What a teacher adds cannot be")],
    )
    def test_of_a_student_that_learned_nothing_alone(self, taught: float, so: str) -> None:
        made = Made().run(STRONG, "teacher").run(STRONG, "confirm", taught).run(ALONE, "confirm", 0.1)
        (only,) = cautions(made.snapshot())
        assert only.startswith("Without a teacher the student tells the classes no better than chance: 10.0% of 539")
        assert so in only

    def test_a_student_that_is_still_learning_is_not_judged(self) -> None:
        assert cautions(Made().run(STRONG, "teacher").run(ALONE, "explore", 0.1, epochs=2).snapshot()) == []

    def test_there_is_none_where_everybody_learned(self) -> None:
        assert cautions(Made().run(STRONG, "teacher").run(ALONE, "confirm").snapshot()) == []


class TestData:
    FINDINGS = (
        Finding(code="imbalance", level="warning", message="One class alone.", caution=True),
        Finding(code="left_out", level="warning", message="Left out: 3."),
        Finding(code="note", level="info", message="Read so."),
    )

    def test_is_said_of_the_job_and_what_limits_the_verdict_with_it(self) -> None:
        made = Made().run(STRONG, "teacher").run(ALONE, "confirm", 0.1).snapshot()
        made.plan = replace(made.plan, data_findings=self.FINDINGS)
        assert [(each.level, each.message) for each in job_notices(made)] == [
            ("warning", "One class alone."), ("warning", "Left out: 3."), ("info", "Read so."),
        ]  # fmt: skip
        data, blind = cautions(made)
        assert data == "One class alone."
        assert blind.startswith("Without a teacher the student tells")


class TestLimits:
    CUT: Mapping[int, str] = {WEAK: "not_promoted", STRONG: "stopped", ALONE: "stopped"}

    @pytest.mark.parametrize(
        ("spending", "limit"),
        [
            (Spending(seconds=60.0), "The limit of 1 min 00 s of training time (budget.seconds)"),
            (Spending(runs=5), "The limit of 5 trainings (budget.runs)"),
            (Spending(runs=5, wall_seconds=3600.0), "The limit of 5 trainings (budget.runs)"),
            (Spending(runs=5, wall_seconds=59.0), "The limit of 59 s of wall-clock time (budget.wall_seconds)"),
            (
                Spending(runs=5, seconds=9.0),
                "The limits of 9.0 s of training time (budget.seconds) and 5 trainings (budget.runs)",
            ),
        ],
    )
    def test_what_a_limit_cut_short_is_said_with_the_limit(self, spending: Spending, limit: str) -> None:
        assert of_job(Made(statuses=self.CUT).snapshot(spending)) == [
            f"{limit} cut the job short: under resnet20, and without a teacher the student was not trained fully on "
            "every seed.",
            "Under resnet8w8 the student was not trained at all.",
        ]

    def test_pauses_and_the_time_before_a_job_ran_again_do_not_reach_a_limit_of_the_clock(self) -> None:
        made = Made(statuses=self.CUT)
        assert made.job.finished_at is not None
        made.job.started_at = made.job.finished_at - timedelta(hours=3)
        made.job.started_epoch = made.job.finished_at.timestamp() - 20 * 60
        found = of_job(made.snapshot(Spending(runs=5, wall_seconds=3600.0)))
        assert found[0].startswith("The limit of 5 trainings (budget.runs)")

    def test_a_limit_that_ended_exploring_alone_is_said(self) -> None:
        found = Made().snapshot(Spending(runs=5), reason="no_runs_left")
        assert of_job(found) == ["A limit ended exploring. The number of trainings that was set is reached."]

    def test_one_that_ended_exploring_before_the_job_ran_again_is_not(self) -> None:
        found = Made().snapshot(Spending(runs=5), reason="no_runs_left")
        again = Decision(stage="exploring", reason=Reason(kind="teacher_added"), at=1.0)
        confirming = Decision(stage="confirming", reason=Reason(kind="sure"), at=2.0)
        assert of_job(replace(found, decisions=(*found.decisions, again, confirming))) == []

    def test_a_limit_of_the_databases_clock_is_named_where_this_one_is_behind(self) -> None:
        found = Made(statuses=self.CUT).snapshot(Spending(runs=5, wall_seconds=1e6), reason="time_over")
        assert of_job(found)[0].startswith("The limit of 277 h 46 min of wall-clock time")

    def test_a_job_that_kept_within_its_limits_says_nothing_of_them(self) -> None:
        found = Made(statuses={WEAK: "not_promoted"}).snapshot(Spending(runs=50))
        assert of_job(found) == [TestPromoted.CHANCE]


class TestPromoted:
    """Two may be promoted."""

    CHANCE = (
        "budget.promote allows 2, and 1 teacher was trained fully: no other had a chance above 5% of being the best."
    )

    def test_as_many_as_were_asked_for(self) -> None:
        assert of_job(Made().snapshot()) == []

    def test_fewer_as_no_other_may_be_the_best(self) -> None:
        assert of_job(Made(statuses={WEAK: "not_promoted"}).snapshot()) == [self.CHANCE]
        assert of_job(Made("running", statuses={WEAK: "not_promoted"}).snapshot()) == []

    def test_fewer_as_the_others_failed(self) -> None:
        found = Made(statuses={WEAK: "failed"}).run(WEAK, "teacher", state="failed").snapshot()
        assert of_job(found) == ["budget.promote allows 2, and 1 teacher was trained fully: resnet8w8 failed."]

    def test_where_a_limit_says_it(self) -> None:
        found = Made(statuses={WEAK: "not_promoted"}).snapshot(Spending(runs=5), reason="no_runs_left")
        assert self.CHANCE not in of_job(found)
        assert of_job(found)[0] == "A limit ended exploring. The number of trainings that was set is reached."


def test_that_every_teacher_failed_is_said_of_the_job() -> None:
    made = Made().run(WEAK, "teacher", state="failed").run(STRONG, "teacher", state="failed")
    assert of_job(made.snapshot()) == ["Every teacher failed; the reasons stand in their rows."]
