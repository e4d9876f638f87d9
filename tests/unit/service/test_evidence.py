"""What a job knows, read off its rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dpk_core.codec import to_json
from dpk_core.evidence import pack, sampling_variance
from dpk_core.selection.decide.job_results import JobResults
from service.database.tables import Candidate, JobRun, Run, SelectionJob
from service.database.types import utc_now
from service.scheduling.evidence import Measured, Stored, StoredByTraining, job_results, step_state
from service.scheduling.snapshot import Snapshot, assemble
from tests.unit.service.test_plan_and_progress import PLAN, REQUEST, confirm, explore

WEAK, STRONG = (teacher.label for teacher in REQUEST.teachers)
PICTURES = 500
Ended = tuple[str | None, int, int, float]
"""Teacher, seed, last epoch and accuracy."""
NOTHING = Measured(scores={}, epochs={})


def packed(values: np.ndarray[Any, Any]) -> Any:
    return to_json(pack(values))


def snapshot(*ended: Ended, seconds: float = 1.0, teachers: dict[str, float] | None = None, **more: Any) -> Snapshot:
    """Finished runs of students, and of teachers with these accuracies; `more` of each result."""
    job = SelectionJob(id="j", state="running", stage="exploring", request={}, plan={}, created_at=utc_now())
    arms = [Candidate(id=i, job_id="j", position=i, teacher=arm, status="waiting") for i, arm in enumerate(PLAN.arms)]
    links = []
    made = [(teacher, "teacher", 0, 4, accuracy) for teacher, accuracy in (teachers or {}).items()]
    for teacher, purpose, seed, stop, accuracy in [*made, *((name, "explore", *rest) for name, *rest in ended)]:
        place = PLAN.arms.index(teacher)
        name = f"{purpose}{seed}_{stop}_{place}"
        result = {
            "validation_score": accuracy, "test_score": None, "near_chance": accuracy < 0.12,
            "validation_evidence": packed(np.arange(PICTURES) < round(accuracy * PICTURES)), **more,
        }  # fmt: skip
        run = Run(
            id=name, training_key=f"t{seed}_{place}", state="finished", seed=seed, result=result, seconds=seconds,
            purpose="teacher" if purpose == "teacher" else "probe", spec={"stop_epoch": stop},
        )  # fmt: skip
        links.append((JobRun(job_id="j", candidate_id=place, run_id=name, purpose=purpose, seed=seed), run))
    return assemble(job, PLAN, arms, links)


def known(found: Snapshot, measured: Measured = NOTHING, stored: StoredByTraining | None = None) -> JobResults:
    return job_results(found, measured, stored or {})


class TestCurves:
    def test_each_rung_that_was_reached_has_its_value(self) -> None:
        found = known(snapshot((WEAK, 0, 2, 0.6), (WEAK, 0, 8, 0.8), (WEAK, 1, 2, 0.5)))
        assert found.arms[0].curves == {0: (0.6, 0.8), 1: (0.5,)}
        assert found.arms[1].curves == {}

    def test_a_rung_that_was_passed_comes_from_the_measurements(self) -> None:
        measured = Measured(scores={"t0_0": {1: 0.3, 2: 0.61, 8: 0.9}}, epochs={})
        found = known(snapshot((WEAK, 0, 8, 0.8)), measured)
        assert found.arms[0].curves == {0: (0.61, 0.8)}, "a run's own result counts before what others measured"

    def test_a_rung_that_nobody_measured_is_as_the_next(self) -> None:
        assert known(snapshot((WEAK, 0, 8, 0.8))).arms[0].curves == {0: (0.8, 0.8)}

    def test_what_others_measured_beyond_is_not_known(self) -> None:
        measured = Measured(scores={"t0_0": {2: 0.6, 8: 0.9}}, epochs={})
        assert known(snapshot((WEAK, 0, 2, 0.6)), measured).arms[0].curves == {0: (0.6,)}


class TestEvidence:
    def test_it_is_of_full_trainings_picture_by_picture(self) -> None:
        values = np.random.default_rng(0).random(PICTURES) < 0.8
        ended = ((WEAK, 0, 2, 0.6), (WEAK, 0, 8, 0.8), (WEAK, 1, 2, 0.5))
        found = known(snapshot(*ended, validation_evidence=packed(values)))
        assert found.arms[0].evidence.keys() == {0}
        assert np.array_equal(found.arms[0].evidence[0], values)

    def test_numbers_that_are_not_right_or_wrong_come_through(self) -> None:
        values = np.random.default_rng(0).normal(0.4, 2.0, PICTURES).astype(np.float32)
        found = known(snapshot((WEAK, 0, 8, 0.4), validation_evidence=packed(values)))
        assert np.array_equal(found.arms[0].evidence[0], values)
        assert sampling_variance(values) == pytest.approx(4 / PICTURES, rel=0.1)

    def test_scores_vary_over_pictures_as_the_teachers_do(self) -> None:
        found = known(snapshot(teachers={WEAK: 0.7, STRONG: 0.9}))
        assert found.sampling_variance == pytest.approx((0.7 * 0.3 + 0.9 * 0.1) / 2 / PICTURES)
        assert [arm.teacher_score for arm in found.arms] == [0.7, 0.9, None]
        assert known(snapshot()).sampling_variance == 0

    def test_who_learned_nothing_is_marked(self) -> None:
        found = known(snapshot(teachers={WEAK: 0.11, STRONG: 0.9}))
        assert [arm.near_chance for arm in found.arms] == [True, False, False]
        assert [arm.teacher for arm in found.candidates] == [STRONG]


class TestPaces:
    def test_they_are_those_of_a_seeds_first_run_and_of_the_epochs_that_it_trained_itself(self) -> None:
        found = snapshot((WEAK, 0, 2, 0.6), (WEAK, 0, 8, 0.8), (WEAK, 1, 2, 0.6), seconds=3.0)
        measured = Measured(
            scores={}, epochs={"explore0_2_0": 2, "explore0_8_0": 6, "explore1_2_0": 1}
        )  # fmt: skip
        assert known(found, measured).arms[0].paces == {0: 3.0 / 2 * 8, 1: 3.0 * 8}
        assert known(found).arms[0].paces == {}


class TestStored:
    def test_a_finished_run_serves_every_rung_and_a_checkpoint_those_after_it(self) -> None:
        stored = {
            (WEAK, 0): Stored(finished=8, checkpoints=(8,)), (WEAK, 1): Stored(finished=2, checkpoints=(2, 5)),
            (None, 1): Stored(finished=0, checkpoints=(1,)), (None, 0): Stored(finished=0, checkpoints=(2,)),
        }  # fmt: skip
        weak, _, alone = known(snapshot(), NOTHING, stored).arms
        assert weak.stored == {0: (0.25, 1.0), 1: (0.25, 5 / 8)}
        assert alone.stored == {0: (0.0, 0.25), 1: (1 / 8, 1 / 8)}

    def test_of_a_run_that_was_stopped_at_its_end_nothing_is_to_be_trained(self) -> None:
        held = Stored(finished=0, checkpoints=(2, 4), trained=(4,))
        assert [held.up_to(epoch) for epoch in (2, 3, 4, 5)] == [0, 2, 4, 4]

    def test_what_was_had_for_nothing_has_not_begun(self) -> None:
        found = snapshot((WEAK, 0, 2, 0.6), (WEAK, 1, 2, 0.6), (STRONG, 0, 2, 0.6))
        found.links[0][0].reused = True
        assert [arm.begun for arm in known(found).arms] == [{1}, {0}, set()]


class TestSteps:
    def test_a_step_is_over_with_its_run_or_with_one_that_went_further(self) -> None:
        found = snapshot((WEAK, 0, 8, 0.8))
        (look,), *rest = (decision.steps for decision in (explore(WEAK), confirm(WEAK)))
        assert step_state(found, look) == "finished"
        assert [step_state(found, each) for each in rest[0]] == ["finished", "running"]

    def test_a_step_fails_with_its_own_run_and_those_of_other_seeds_go_on(self) -> None:
        found = snapshot((WEAK, 0, 8, 0.8), teachers={WEAK: 0.9})
        found.links[1][1].state = "failed"
        found.decisions.append(confirm(WEAK))
        assert [step_state(found, each) for each in confirm(WEAK).steps] == ["failed", "running"]
        assert [each.step.seed for _, each in found.missing() if each.step.teacher == WEAK] == [1]

    def test_without_a_teacher_no_step_can_be_trained(self) -> None:
        found = snapshot(teachers={WEAK: 0.9})
        found.links[0][1].state = "failed"
        found.decisions.append(confirm(WEAK))
        assert [step_state(found, each) for each in confirm(WEAK).steps] == ["failed", "failed"]
        assert WEAK not in {each.step.teacher for _, each in found.missing()}
