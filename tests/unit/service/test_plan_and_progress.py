"""The plan's arithmetic, and how progress and the rest are counted from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import pytest

from dpk_core.catalogue.datasets import DIGITS
from dpk_core.codec import from_json, to_json
from dpk_core.recipes import AS_IS, RECIPES
from dpk_core.selection.decide.facts import Purpose
from dpk_core.selection.decide.job_results import Step
from dpk_core.selection.decide.policies.policy import Reason
from dpk_core.selection.decide.schedule import Begun, Decision
from service.database.tables import Candidate, JobRun, Run, SelectionJob
from service.database.types import utc_now
from service.leaderboards.board import recipe_changes
from service.scheduling.plan import Plan
from service.scheduling.snapshot import Snapshot, assemble
from service.selection_jobs.planning import default_rungs, make_plan
from service.selection_jobs.progress import remaining_seconds, stages
from service.wire.jobs import Budget, SelectionJobRequest
from service.wire.setting_choices import RecipeChoice
from tests.contract.run_specs import checkpoint

REQUEST = SelectionJobRequest(
    student="cifar/resnet8w4", dataset="digits", teachers=["cifar/resnet8w8", "cifar/resnet20"], seeds=2,
    budget=Budget(epochs=8, rungs=[2, 8], promote=1, teacher_epochs=4),
)  # fmt: skip
PLAN = make_plan(REQUEST, DIGITS)
STEPS = 14
"""898 training pictures in whole batches of 64."""
WEAK, STRONG = REQUEST.teachers[0].label, REQUEST.teachers[1].label


class TestBatches:
    @pytest.mark.parametrize(
        ("pictures", "batch"), [(200, 16), (1_000, 64), (1_024, 128), (50_000, 128), (40, 16)]
    )  # fmt: skip
    def test_small_data_gets_small_batches(self, pictures: int, batch: int) -> None:
        request = REQUEST.model_copy(update={"recipe": RecipeChoice(name="small")})
        plan = make_plan(request, replace(DIGITS, train_pictures=pictures))
        assert {plan.student_recipe.batch_size, plan.teacher_recipe.batch_size} == {batch}
        assert plan.student_recipe.learning_rate == RECIPES["small"].learning_rate
        assert plan.student_recipe.module_learning_rate == RECIPES["small"].module_learning_rate
        assert len(plan.recipe_notes) == (batch != 128)
        assert recipe_changes(plan) == {}, "a batch that was fitted is no change that somebody made"

    def test_a_size_that_is_asked_for_stays(self) -> None:
        request = REQUEST.model_copy(update={"budget": REQUEST.budget.model_copy(update={"batch_size": 128})})
        plan = make_plan(request, replace(DIGITS, train_pictures=200))
        assert plan.student_recipe.batch_size == 128
        assert recipe_changes(plan) == {}
        assert [note.partition(" follows the batch size ")[0] for note in plan.recipe_notes] == [
            "The learning rate", "The learning rate of the method's modules",
        ]  # fmt: skip

    def test_the_note_says_why(self) -> None:
        plan = make_plan(REQUEST, replace(DIGITS, train_pictures=200))
        assert plan.recipe_notes == (
            "Batches are of 16, so that an epoch of 200 training pictures has 12 steps; in the 64 of recipe digits it "
            "would have 3. Name a batch_size to have another.",
        )


Linked = tuple[int, str, int, Run]
"""Arm, purpose, seed and the run."""


def snapshot(
    *runs: Linked, decisions: Sequence[Decision] = (), stage: str = "exploring", state: str = "running"
) -> Snapshot:
    job = SelectionJob(id="j", state=state, stage=stage, request={}, plan={}, created_at=utc_now())
    arms = [
        Candidate(id=place, job_id="j", position=place, teacher=teacher, status="waiting")
        for place, teacher in enumerate(PLAN.arms)
    ]
    links = [
        (JobRun(job_id="j", candidate_id=arm, run_id=run.id, purpose=purpose, seed=seed, reused=False), run)
        for arm, purpose, seed, run in runs
    ]
    return assemble(job, PLAN, arms, links, decisions)


def run(name: str, state: str, *, step: int = 0, seconds: float = 0.0, epochs: int = 2, purpose: str = "probe") -> Run:
    return Run(
        id=name, state=state, step=step, seconds=seconds, purpose=purpose, failure="Boom.", seed=0,
        spec={"stop_epoch": epochs},
    )  # fmt: skip


def decided(stage: Literal["exploring", "confirming"], steps: Sequence[tuple[str | None, int, int]]) -> Decision:
    """Steps: teacher, seed and last epoch."""
    purpose: Purpose = "explore" if stage == "exploring" else "confirm"
    begun = (
        Begun(
            step=Step(teacher=teacher, seed=seed, rung=PLAN.rungs.index(epochs)), purpose=purpose, begins=0.0, ends=1.0
        )
        for teacher, seed, epochs in steps
    )
    return Decision(stage=stage, reason=Reason(kind="contenders"), at=0.0, steps=tuple(begun))


def explore(*teachers: str, seed: int = 0) -> Decision:
    return decided("exploring", [(teacher, seed, 2) for teacher in teachers])


def confirm(*teachers: str | None) -> Decision:
    found = decided("confirming", [(teacher, seed, 8) for teacher in teachers for seed in (0, 1)])
    return replace(found, promoted=tuple(teacher for teacher in teachers if teacher is not None))


PREPARED: tuple[Linked, Linked] = (
    (0, "teacher", 0, run("a", "finished", step=4 * STEPS, seconds=4.0 * STEPS, epochs=4, purpose="teacher")),
    (1, "teacher", 0, run("b", "finished", step=4 * STEPS, seconds=4.0 * STEPS, epochs=4, purpose="teacher")),
)


class TestPlan:
    def test_a_job_and_its_copy_ask_for_the_same_runs(self) -> None:
        copy = from_json(Plan, to_json(PLAN))
        assert copy == PLAN
        keys = {PLAN.student_run(arm, seed, stop).key() for arm in PLAN.arms for seed in (0, 1) for stop in PLAN.rungs}
        assert len(keys) == 12

    def test_runs_to_all_rungs_are_one_training(self) -> None:
        first, full = (PLAN.student_run(STRONG, 0, epochs) for epochs in PLAN.rungs)
        assert first.training == full.training
        assert (first.stop_epoch, full.stop_epoch) == (2, 8)
        assert first.training.teacher is not None
        assert first.training.teacher.training_key == PLAN.teacher_run(STRONG).training.key()

    @pytest.mark.parametrize(
        ("epochs", "rungs"),
        [(2, (1, 2)), (3, (1, 2, 3)), (8, tuple(range(1, 9))), (240, tuple(range(30, 241, 30)))],
    )
    def test_rungs_are_eighths_unless_said_otherwise(self, epochs: int, rungs: tuple[int, ...]) -> None:
        assert default_rungs(epochs) == rungs

    def test_what_is_wanted_of_the_policy_is_kept(self) -> None:
        budget = Budget(epochs=8, policy="halving", seconds=30.0, runs=4, prefer_cheaper=True)
        spending = make_plan(REQUEST.model_copy(update={"budget": budget}), DIGITS).spending
        assert (spending.policy, spending.seconds, spending.runs) == ("halving", 30.0, 4)
        assert spending.prefer_cheaper
        assert spending.is_limited
        assert not PLAN.spending.is_limited


class TestStages:
    def test_full_trainings_are_foreseen_before_anything_runs(self) -> None:
        found = stages(snapshot(stage="preparing_teachers"))
        assert [(stage.done, stage.total) for stage in found] == [
            (0, 2 * 4 * STEPS), (0, 2 * 2 * 8 * STEPS), (0, 2 * 2 * 8 * STEPS), (0, 1),
        ]  # fmt: skip
        assert [stage.state for stage in found] == ["running", "waiting", "waiting", "waiting"]

    def test_steps_of_runs_under_way_count_and_finished_ones_count_whole(self) -> None:
        found = stages(
            snapshot(
                (0, "teacher", 0, run("a", "finished", purpose="teacher")),
                (1, "teacher", 0, run("b", "finished", purpose="teacher")),
                (0, "explore", 0, run("c", "finished")),
                (1, "explore", 0, run("d", "running", step=5)),
                decisions=[explore(WEAK, STRONG)],
            )
        )
        assert [stage.done for stage in found] == [8 * STEPS, 2 * STEPS + 5, 0, 0]
        # What exploring has done of a training need not be done again by confirming.
        assert [stage.total for stage in found] == [8 * STEPS, 4 * 8 * STEPS, (2 * 8 + 6 + 8) * STEPS, 1]
        assert [stage.state for stage in found[:3]] == ["done", "running", "waiting"]

    def test_a_run_counts_from_where_the_one_before_ended(self) -> None:
        found = stages(
            snapshot(
                (1, "explore", 0, run("a", "finished")),
                (1, "confirm", 0, run("b", "running", step=2 * STEPS + 3, epochs=8)),
                decisions=[explore(STRONG), confirm(STRONG)],
                stage="confirming",
            )
        )
        assert (found[1].done, found[1].total, found[1].state) == (2 * STEPS, 2 * STEPS, "done")
        assert (found[2].done, found[2].total) == (3, (6 + 8 + 2 * 8) * STEPS), "no teacher may still come"

    def test_a_failed_job_ends_in_the_stage_of_its_last_run(self) -> None:
        lost: list[Linked] = [(0, "teacher", 0, run("a", "failed", purpose="teacher")), PREPARED[1]]
        ended: list[Linked] = [(1, "explore", 0, run("c", "failed")), (2, "confirm", 0, run("d", "failed", epochs=8))]
        found = stages(snapshot(*lost, *ended, stage="confirming", state="failed"))
        assert [stage.state for stage in found] == ["done", "failed", "failed", "not_reached"]
        every = (0, "teacher", 0, run("a", "failed", purpose="teacher"))
        found = stages(snapshot(every, ended[1], stage="confirming", state="failed"))
        assert [stage.state for stage in found] == ["failed", "not_reached", "failed", "not_reached"]

    def test_a_cancelled_job_stopped_where_it_was(self) -> None:
        begun = (1, "explore", 0, run("c", "cancelled", step=5))
        found = stages(snapshot(*PREPARED, begun, state="cancelled"))
        assert [stage.state for stage in found] == ["done", "stopped", "not_reached", "not_reached"]
        assert {stage.state for stage in stages(snapshot(state="cancelled"))} == {"not_reached"}

    def test_a_job_without_a_prepared_teacher_shows_it(self) -> None:
        lost = [(arm, "teacher", 0, run(f"a{arm}", "failed", purpose="teacher")) for arm in (0, 1)]
        assert stages(snapshot(*lost, stage="deciding", state="finished"))[0].state == "failed"

    def test_a_failed_arm_is_not_waited_for(self) -> None:
        found = stages(
            snapshot((0, "teacher", 0, run("a", "failed", purpose="teacher")), decisions=[explore(WEAK, STRONG)])
        )
        assert [stage.total for stage in found] == [4 * STEPS, 2 * 8 * STEPS, (2 * 8 + 6 + 8) * STEPS, 1]


class TestRemaining:
    def test_nothing_is_said_while_nothing_was_timed(self) -> None:
        assert remaining_seconds(snapshot((0, "teacher", 0, run("a", "queued"))), 2) is None

    def test_the_rest_goes_on_at_the_measured_pace_over_all_slots(self) -> None:
        timed = snapshot((0, "teacher", 0, run("a", "running", step=28, seconds=28.0)))
        steps = (2 * 4 + 2 * 2 * 8) * STEPS - 28
        assert remaining_seconds(timed, 1) == steps
        assert remaining_seconds(timed, 2) == steps / 2

    def test_no_number_of_slots_shortens_one_run(self) -> None:
        timed = snapshot((0, "teacher", 0, run("a", "running", step=28, seconds=28.0)))
        assert remaining_seconds(timed, 1000) == 8 * STEPS

    def test_each_kind_of_training_has_its_own_pace(self) -> None:
        timed = snapshot(
            *PREPARED,
            (2, "confirm", 0, run("c", "finished", step=8 * STEPS, seconds=8 * 0.5 * STEPS, epochs=8)),
            (0, "explore", 0, run("d", "finished", step=2 * STEPS, seconds=2 * 3.0 * STEPS)),
            decisions=[explore(WEAK), confirm(None, WEAK)],
            stage="confirming",
        )
        assert remaining_seconds(timed, 1) == pytest.approx(3.0 * (6 + 8) * STEPS + 0.5 * 8 * STEPS)

    def test_a_run_that_serves_several_rungs_is_timed_once(self) -> None:
        timed = snapshot(
            *PREPARED,
            (0, "explore", 0, run("c", "finished", step=8 * STEPS, seconds=8.0 * STEPS, epochs=8)),
            decisions=[explore(WEAK), confirm(WEAK)],
            stage="confirming",
        )
        assert remaining_seconds(timed, 1) == pytest.approx((8 + 2 * 8) * STEPS)

    def test_what_a_run_took_over_is_not_what_it_was_timed_on(self) -> None:
        went_on = run("c", "finished", step=8 * STEPS, seconds=2.0 * STEPS, epochs=8)
        went_on.inherited = to_json(checkpoint("left.pt", step=6 * STEPS, seconds=6.0 * STEPS))
        timed = snapshot(*PREPARED, (0, "confirm", 0, went_on), decisions=[confirm(WEAK)], stage="confirming")
        assert remaining_seconds(timed, 1) == pytest.approx((8 + 2 * 8) * STEPS)

    def test_a_teacher_taken_as_it_is_counts_as_one_step(self) -> None:
        judged = replace(PLAN.preparation(STRONG), kind="as_is", recipe=AS_IS)
        plan = replace(PLAN, preparations={WEAK: judged, STRONG: judged})
        timed = replace(snapshot((0, "teacher", 0, run("a", "finished", seconds=3.0, purpose="teacher"))), plan=plan)
        steps = 2 * 2 * 8 * STEPS
        assert remaining_seconds(timed, 1) == pytest.approx(3.0 * (1 + steps))

    def test_an_ended_job_has_no_rest(self) -> None:
        timed = snapshot((0, "teacher", 0, run("a", "running", step=28, seconds=28.0)), state="cancelling")
        assert remaining_seconds(timed, 1) is None
