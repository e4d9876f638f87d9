"""What a job knows: refuses what cannot be, prices what is left, and can be looked at as it was."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dpk_core.selection.decide.job_results import (
    COST_SD_TIMED,
    COST_SD_UNTIMED,
    Arm,
    JobResults,
    Step,
    free_steps,
    is_free,
    step_cost,
)
from tests.unit.selection.made_up import RUNGS, SEEDS, arm, job, name, taught


@pytest.mark.parametrize("rungs", [(), (0.5,), (0.5, 0.25, 1.0), (0.5, 0.5, 1.0), (0.0, 1.0)])
def test_rungs_must_rise_to_the_whole_training(rungs: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="rungs must rise to 1"):
        JobResults(arms=(), rungs=rungs, seeds=SEEDS)


def test_each_teacher_is_there_once() -> None:
    with pytest.raises(ValueError, match="once"):
        job(arm(0), arm(0))


@pytest.mark.parametrize("fault", [{"curves": {0: (float("nan"),)}}, {"paces": {0: float("inf")}}, {"paces": {0: 0.0}}])
def test_numbers_that_cannot_be_are_refused(fault: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"teacher0: (scores and costs must be finite|a full training must cost)"):
        Arm(teacher=name(0), **fault)  # type: ignore[arg-type]


class TestCosts:
    def test_the_untimed_cost_what_others_do_and_no_teacher_what_the_cheapest_does(self) -> None:
        known = job(replace(arm(0), paces={0: 2.0, 1: 4.0}), replace(arm(1), paces={0: 1.0}), arm(2), Arm(teacher=None))
        exact = replace(known, exact_costs=True)
        assert [exact.cost(each.teacher) for each in exact.arms] == [3.0, 1.0, 2.0, 1.0]
        assert [exact.cost_sd(each.teacher) for each in exact.arms] == [
            COST_SD_TIMED,
            COST_SD_TIMED,
            COST_SD_UNTIMED,
            0,
        ]

    def test_without_a_budget_only_factors_of_two_count(self) -> None:
        for busy in (0.8, 1.0, 1.3):
            known = job(replace(arm(0), paces={0: 1.0}), replace(arm(1), paces={0: 2.0 * busy}))
            assert (known.cost(name(0)), known.cost(name(1))) == (1.0, 2.0)

    def test_a_step_costs_what_is_neither_reached_nor_stored(self) -> None:
        known = job(replace(arm(0, {0: (0.5,)}), paces={0: 8.0}, stored={0: (0.125, 0.25, 0.25, 0.25)}))
        assert step_cost(known, Step(teacher=name(0), seed=0, rung=0)) == 0
        assert step_cost(known, Step(teacher=name(0), seed=0, rung=1)) == 0
        assert step_cost(known, Step(teacher=name(0), seed=0, rung=3)) == 6
        assert step_cost(known, Step(teacher=name(0), seed=1, rung=3)) == 8
        assert is_free(known, Step(teacher=name(0), seed=0, rung=1))
        assert free_steps(known) == (Step(teacher=name(0), seed=0, rung=1),)


class TestCandidates:
    def test_who_learned_nothing_does_not_compete_unless_asked_or_alone(self) -> None:
        blind, able = replace(arm(0), near_chance=True), arm(1)
        assert job(blind, able).candidates == (able,)
        assert job(blind).candidates == (blind,)
        assert replace(job(blind, able), spend_near_chance=True).candidates == (blind, able)

    def test_failed_arms_and_no_teacher_do_not_compete(self) -> None:
        assert job(replace(arm(0), failed=True), arm(1), Arm(teacher=None)).candidates == (arm(1),)


def test_it_can_be_seen_as_it_was() -> None:
    known = job(replace(taught(name(0), 0.8, {0: 4, 1: 2}), paces={0: 1.0, 1: 2.0}), replace(arm(1), failed=True))
    then = known.seen_at({(name(0), 0): 2}, failed=())
    assert {seed: len(curve) for seed, curve in then.arm(name(0)).curves.items()} == {0: 2}
    assert not then.arm(name(0)).evidence
    assert then.arm(name(0)).paces == {0: 1.0}
    assert not then.arm(name(1)).failed
    now = known.seen_at({(name(0), 0): len(RUNGS), (name(0), 1): 2}, failed=[name(1)])
    assert now.arm(name(0)).evidence.keys() == {0}
    assert now.arm(name(1)).failed
