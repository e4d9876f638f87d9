"""What a job knows, read off its rows."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dpk_core.codec import to_json
from dpk_core.selection.decide.job_results import TIMED, UNTIMED, Prior
from dpk_core.selection.spreads import picture_part
from service.database.tables import Candidate, JobRun, Run, SelectionJob
from service.database.types import utc_now
from service.selection_jobs.evidence import Evidence, Stored, knowledge, paces
from service.selection_jobs.snapshot import Snapshot, assemble
from tests.unit.service.test_plan_and_progress import PLAN, REQUEST

WEAK, STRONG = (teacher.label for teacher in REQUEST.teachers)
PICTURES = 500
Ended = tuple[str | None, int, int, float]
"""Teacher, seed, last epoch and accuracy."""


def told(right: np.ndarray[Any, Any]) -> dict[str, Any]:
    packed = base64.b64encode(np.packbits(right).tobytes()).decode()
    return {"validation_right": packed, "validation_pictures": len(right)}


def snapshot(*ended: Ended, seconds: float = 1.0, prior: Prior | None = None, **results: dict[str, Any]) -> Snapshot:
    """Finished runs; `results` adds to those of the run named `seed-epoch-teacher's place`."""
    stored = None if prior is None else to_json(prior)
    job = SelectionJob(
        id="j", state="running", stage="exploring", request={}, plan={}, prior=stored, created_at=utc_now()
    )
    arms = [Candidate(id=i, job_id="j", position=i, teacher=arm, status="waiting") for i, arm in enumerate(PLAN.arms)]
    links = []
    for teacher, seed, stop, accuracy in ended:
        place = PLAN.arms.index(teacher)
        name = f"r{seed}_{stop}_{place}"
        result = {
            "validation_accuracy": accuracy, "test_accuracy": None, "validation_pictures": PICTURES,
            **results.get(name, {}),
        }  # fmt: skip
        run = Run(
            id=name, training_key=f"t{seed}_{place}", state="finished", purpose="probe", seed=seed, result=result,
            seconds=seconds, spec={"stop_epoch": stop},
        )  # fmt: skip
        links.append((JobRun(job_id="j", candidate_id=place, run_id=name, purpose="explore", seed=seed), run))
    return assemble(job, PLAN, arms, links)


NOTHING = Evidence(accuracies={}, epochs={})


def test_who_was_not_timed_may_cost_more_than_the_others_but_no_teacher_costs_no_more_than_the_cheapest() -> None:
    one = knowledge(snapshot((WEAK, 0, 8, 0.8), seconds=16.0), Evidence(accuracies={}, epochs={"r0_8_0": 8}))
    spreads = {arm.teacher: (arm.cost, arm.cost_spread) for arm in one.arms}
    assert spreads == {WEAK: (16.0, TIMED), STRONG: (16.0, UNTIMED), None: (16.0, 0.0)}
    both = snapshot((WEAK, 0, 8, 0.8), (STRONG, 0, 8, 0.8), seconds=16.0)
    found = knowledge(both, Evidence(accuracies={}, epochs={"r0_8_0": 8, "r0_8_1": 4}))
    assert {arm.teacher: arm.cost for arm in found.arms} == {WEAK: 16.0, STRONG: 32.0, None: 16.0}


class TestCurves:
    def test_each_rung_that_was_reached_has_its_value(self) -> None:
        found = knowledge(snapshot((WEAK, 0, 2, 0.6), (WEAK, 0, 8, 0.8), (WEAK, 1, 2, 0.5)), NOTHING)
        assert found.arms[0].curves == {0: (0.6, 0.8), 1: (0.5,)}
        assert found.arms[1].curves == {}

    def test_a_rung_that_was_passed_comes_from_the_measurements(self) -> None:
        measured = Evidence(accuracies={"t0_0": {1: 0.3, 2: 0.61, 8: 0.9}}, epochs={})
        found = knowledge(snapshot((WEAK, 0, 8, 0.8)), measured)
        assert found.arms[0].curves == {0: (0.61, 0.8)}, "a run's own result counts before what others measured"

    def test_a_rung_that_nobody_measured_is_as_the_next(self) -> None:
        assert knowledge(snapshot((WEAK, 0, 8, 0.8)), NOTHING).arms[0].curves == {0: (0.8, 0.8)}

    def test_what_others_measured_beyond_is_not_known(self) -> None:
        measured = Evidence(accuracies={"t0_0": {2: 0.6, 8: 0.9}}, epochs={})
        assert knowledge(snapshot((WEAK, 0, 2, 0.6)), measured).arms[0].curves == {0: (0.6,)}


class TestCosts:
    RUNS = (WEAK, 0, 2, 0.6), (STRONG, 0, 2, 0.6)

    def with_paces(self, weak: float, strong: float) -> Snapshot:
        found = snapshot(*self.RUNS)
        for (_, run), seconds in zip(found.links, (weak, strong), strict=True):
            run.seconds = 2 * seconds
        return found

    @property
    def evidence(self) -> Evidence:
        return Evidence(accuracies={}, epochs={"r0_2_0": 2, "r0_2_1": 2})

    def test_they_are_those_of_the_epochs_that_a_run_trained_itself(self) -> None:
        assert paces(self.with_paces(3.0, 5.0), self.evidence) == [3.0, 5.0, None]
        assert paces(self.with_paces(3.0, 5.0), Evidence(accuracies={}, epochs={"r0_2_0": 1})) == [6.0, None, None]

    def test_jitter_does_not_show_and_a_factor_does(self) -> None:
        costs = [
            [arm.cost for arm in knowledge(self.with_paces(1.0, strong), self.evidence).arms[:2]]
            for strong in (0.8, 1.3, 3.0, 4.1)
        ]
        assert costs == [[0.8 * 8, 0.8 * 8], [8, 8], [8, 4 * 8], [8, 4 * 8]]

    def test_without_any_time_all_are_alike(self) -> None:
        assert {arm.cost for arm in knowledge(snapshot(*self.RUNS), NOTHING).arms} == {8.0}


class TestStored:
    def test_a_finished_run_serves_every_rung_and_a_checkpoint_those_after_it(self) -> None:
        stored = {
            (WEAK, 0): Stored(finished=8, checkpoints=(8,)), (WEAK, 1): Stored(finished=2, checkpoints=(2, 5)),
            (None, 1): Stored(finished=0, checkpoints=(1,)), (None, 0): Stored(finished=0, checkpoints=(2,)),
        }  # fmt: skip
        weak, _, alone = knowledge(snapshot(), NOTHING, stored).arms
        assert weak.stored == {0: (0.25, 1.0), 1: (0.25, 5 / 8)}
        assert alone.stored == {0: (0.0, 0.25), 1: (1 / 8, 1 / 8)}

    def test_what_was_had_for_nothing_has_not_begun(self) -> None:
        found = snapshot((WEAK, 0, 2, 0.6), (WEAK, 1, 2, 0.6), (STRONG, 0, 2, 0.6))
        found.links[0][0].reused = True
        assert [arm.begun for arm in knowledge(found, NOTHING).arms] == [{1}, {0}, set()]


class TestPictures:
    def test_any_run_tells_how_many_there_are(self) -> None:
        assert knowledge(snapshot((WEAK, 0, 2, 0.6)), NOTHING).pictures == PICTURES
        assert knowledge(snapshot(), NOTHING).pictures is None


class TestPrior:
    def test_what_was_stored_at_the_start_counts(self) -> None:
        stored = replace(Prior().at((0.25, 1.0)), slope=0.3, mismatch=(0.01, 0.0), seed_spread=(0.02, 0.01))
        assert knowledge(snapshot(prior=stored), NOTHING).prior == stored
        assert knowledge(snapshot(), NOTHING).prior == Prior().at((0.25, 1.0))

    def test_the_part_of_pictures_is_measured_once_two_teachers_have_two_seeds(self) -> None:
        chance = np.random.default_rng(0)
        right = chance.random((2, 2, 200)) < chance.random((2, 1, 200))
        ended = [(teacher, seed, 8, 0.8) for teacher in (WEAK, STRONG) for seed in (0, 1)]
        results = {f"r{seed}_8_{place}": told(right[place, seed]) for place in (0, 1) for seed in (0, 1)}
        found = knowledge(snapshot(*ended, **results), NOTHING).prior
        measured = picture_part([dict(enumerate(right_SV)) for right_SV in right])
        assert measured is not None
        assert found.picture_part == pytest.approx((measured + Prior().picture_part) / 2)
        results.pop("r1_8_1")
        assert knowledge(snapshot(*ended, **results), NOTHING).prior.picture_part == Prior().picture_part
