"""The plan's arithmetic, and how progress and the rest are counted from it."""

from __future__ import annotations

import pytest

from dpk_core.catalogue.datasets import DIGITS
from dpk_core.codec import from_json, to_json
from service.database.tables import Candidate, JobRun, Run, SelectionJob
from service.database.types import utc_now
from service.selection_jobs.plan import Plan, default_probe_epochs, make_plan
from service.selection_jobs.progress import remaining_seconds, stages
from service.selection_jobs.schemas import Budget, SelectionJobRequest
from service.selection_jobs.snapshot import Snapshot, assemble

REQUEST = SelectionJobRequest(
    student="cifar/resnet8w4", dataset="digits", teachers=["cifar/resnet8w8", "cifar/resnet20"], seeds=2,
    budget=Budget(epochs=8, probe_epochs=2, promote=1, teacher_epochs=4),
)  # fmt: skip
PLAN = make_plan(REQUEST, DIGITS)
STEPS = 14
"""898 training pictures in whole batches of 64."""


def snapshot(*runs: tuple[int, str, int, Run], stage: str = "preparing_teachers", state: str = "running") -> Snapshot:
    """A job with runs given as (arm, purpose, seed, run)."""
    job = SelectionJob(id="j", state=state, stage=stage, request={}, plan={}, created_at=utc_now())
    arms = [
        Candidate(id=place, job_id="j", position=place, teacher=teacher, status="waiting")
        for place, teacher in enumerate(PLAN.arms)
    ]
    links = [
        (JobRun(job_id="j", candidate_id=arm, run_id=run.id, purpose=purpose, seed=seed, reused=False), run)
        for arm, purpose, seed, run in runs
    ]
    return assemble(job, PLAN, arms, links)


def run(name: str, state: str, *, step: int = 0, seconds: float = 0.0, purpose: str = "probe") -> Run:
    return Run(id=name, state=state, step=step, seconds=seconds, purpose=purpose, failure="Boom.", seed=0)


class TestPlan:
    def test_a_job_and_its_copy_ask_for_the_same_runs(self) -> None:
        copy = from_json(Plan, to_json(PLAN))
        assert copy == PLAN
        keys = {PLAN.student_run(arm, seed, full=full).key() for arm in PLAN.arms for seed in (0, 1) for full in (0, 1)}
        assert len(keys) == 12

    def test_a_full_run_continues_the_probes_training(self) -> None:
        probe, full = (PLAN.student_run("cifar/resnet20", 0, full=full) for full in (False, True))
        assert probe.training == full.training
        assert (probe.stop_epoch, full.stop_epoch) == (2, 8)
        assert probe.training.teacher is not None
        assert probe.training.teacher.training_key == PLAN.teacher_run("cifar/resnet20").training.key()

    @pytest.mark.parametrize(("epochs", "probe"), [(2, 1), (3, 1), (8, 2), (240, 60)])
    def test_probes_are_a_quarter_unless_said_otherwise(self, epochs: int, probe: int) -> None:
        assert default_probe_epochs(epochs) == probe


class TestStages:
    def test_totals_are_known_before_anything_runs(self) -> None:
        found = stages(snapshot(stage="preparing_teachers"))
        assert [(stage.done, stage.total) for stage in found] == [
            (0, 2 * 4 * STEPS), (0, 3 * 2 * 2 * STEPS), (0, 2 * 2 * 6 * STEPS), (0, 1),
        ]  # fmt: skip
        assert [stage.state for stage in found] == ["running", "waiting", "waiting", "waiting"]

    def test_steps_of_runs_under_way_count_and_finished_ones_count_whole(self) -> None:
        found = stages(
            snapshot(
                (0, "teacher", 0, run("a", "finished")),
                (1, "teacher", 0, run("b", "running", step=10)),
                (2, "probe", 0, run("c", "queued")),
                (2, "probe", 1, run("d", "running", step=5)),
            )
        )
        assert [stage.done for stage in found] == [4 * STEPS + 10, 5, 0, 0]
        assert [stage.state for stage in found[:2]] == ["running", "running"]

    def test_a_full_run_counts_from_where_its_probe_ended(self) -> None:
        after_probe = snapshot((2, "full", 0, run("a", "running", step=2 * STEPS + 3)), stage="training")
        after_probe.arms[2].candidate.status = "promoted"
        training = stages(after_probe)[2]
        assert (training.done, training.total) == (3, 2 * 6 * STEPS)

    def test_a_failed_arm_is_not_waited_for(self) -> None:
        found = stages(snapshot((0, "teacher", 0, run("a", "failed", purpose="teacher"))))
        assert [stage.total for stage in found] == [4 * STEPS, 2 * 2 * 2 * STEPS, 2 * 2 * 6 * STEPS, 1]


class TestRemaining:
    def test_nothing_is_said_while_nothing_was_timed(self) -> None:
        assert remaining_seconds(snapshot((0, "teacher", 0, run("a", "queued"))), 2) is None

    def test_the_rest_goes_on_at_the_measured_pace_over_all_slots(self) -> None:
        timed = snapshot((0, "teacher", 0, run("a", "running", step=28, seconds=28.0)))
        steps = sum(stage.total for stage in stages(timed)[:3]) - 28
        assert remaining_seconds(timed, 1) == steps
        assert remaining_seconds(timed, 2) == steps / 2

    def test_no_number_of_slots_shortens_one_run(self) -> None:
        timed = snapshot((0, "teacher", 0, run("a", "running", step=28, seconds=28.0)))
        assert remaining_seconds(timed, 1000) == 6 * STEPS

    def test_each_kind_of_training_has_its_own_pace(self) -> None:
        timed = snapshot(
            (0, "teacher", 0, run("a", "finished", seconds=4.0 * STEPS)),
            (1, "teacher", 0, run("b", "finished", seconds=4.0 * STEPS)),
            (2, "probe", 0, run("c", "finished", seconds=2 * 0.5 * STEPS)),
            (0, "probe", 0, run("d", "finished", seconds=2 * 3.0 * STEPS)),
        )
        taught_probes, alone_probes = 3 * 2 * STEPS, 1 * 2 * STEPS
        taught_full, alone_full = 2 * 6 * STEPS, 2 * 6 * STEPS
        expected = 3.0 * (taught_probes + taught_full) + 0.5 * (alone_probes + alone_full)
        assert remaining_seconds(timed, 1) == pytest.approx(expected)

    def test_an_ended_job_has_no_rest(self) -> None:
        timed = snapshot((0, "teacher", 0, run("a", "running", step=28, seconds=28.0)), state="cancelling")
        assert remaining_seconds(timed, 1) is None
