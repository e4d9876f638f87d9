"""The best-arm summary: ranks, chances and what more results may change."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from dpk_core.selection.decide.job_results import Step
from dpk_core.selection.decide.summary import chance_of_change, model, summarise, summary_of, worth
from tests.unit.selection.made_up import SEEDS, arm, job, name, reveal, taught, world


def test_without_a_candidate_there_is_none() -> None:
    assert summarise(job(replace(arm(0), failed=True))) is None


def test_before_any_result_the_more_accurate_teacher_leads_by_little() -> None:
    found = summarise(job(arm(0, score=0.80), arm(1, score=0.84)))
    assert found is not None
    assert found.lead == name(1)
    assert 0.5 < found.chances[name(1)] < 0.8


def test_of_equals_the_more_accurate_comes_first_then_the_name() -> None:
    same = {0: (0.5, 0.6)}
    found = summarise(job(arm(2, same, 0.8), arm(1, same, 0.8), arm(0, same, 0.8)))
    assert found is not None
    assert found.ranking == (name(0), name(1), name(2))
    assert found.lead == found.ranking[0]


def test_the_ranks_follow_full_trainings_and_the_set_leaves_out_who_is_far_behind() -> None:
    known = job(*(taught(name(index), level, salt=index) for index, level in enumerate((0.85, 0.80, 0.83))))
    found = summarise(known)
    assert found is not None
    assert found.ranking == (name(0), name(2), name(1))
    assert found.best_set == (name(0),)
    assert found.regret < 1e-3
    assert found.expected[name(0)].low < 0.85 < found.expected[name(0)].high


def test_one_that_was_not_trained_fully_is_compared_with_those_that_were() -> None:
    known = job(taught(name(0), 0.85), taught(name(1), 0.84, salt=1), taught(name(2), 0.80, {0: 3}, salt=2))
    found = summarise(known)
    assert found is not None
    assert found.ranking[-1] == name(2)
    better = summarise(replace(known, arms=(*known.arms[:2], taught(name(2), 0.90, {0: 3}, salt=2))))
    assert better is not None
    assert better.lead == name(2)


def test_an_outlier_among_seeds_does_not_rule_its_teacher_out() -> None:
    good = taught(name(0), 0.86)
    fallen = taught(name(0), 0.80).curves[2]
    known = job(
        replace(good, curves={**good.curves, 2: fallen}, evidence={**good.evidence, 2: taught("x", 0.80).evidence[2]}),
        taught(name(1), 0.85, salt=1), taught(name(2), 0.84, salt=2),
    )  # fmt: skip
    found = summarise(known)
    assert found is not None
    assert name(0) in found.best_set


@settings(max_examples=15, deadline=None)
@given(some.permutations(range(4)))
def test_the_order_of_the_arms_does_not_matter(order: list[int]) -> None:
    arms = [taught(name(index), 0.80 + 0.01 * index, {0: 1 + index % 4}, salt=index) for index in range(4)]
    assert summarise(job(*arms)) == summarise(job(*(arms[index] for index in order)))


class TestMoreResults:
    def test_a_wider_step_is_worth_more_and_a_hopeless_one_nothing(self) -> None:
        table = world(np.random.default_rng(1), np.array([0.80, 0.805, 0.6]))
        found = model(reveal(table, {(index, 0): 1 for index in range(3)}))

        def steps(rung: int, *arms: int) -> list[Step]:
            return [Step(teacher=name(index), seed=0, rung=rung) for index in arms]

        assert worth(found, steps(3, 0, 1)) > worth(found, steps(1, 0, 1)) > 0
        assert worth(found, steps(3, 2)) < 1e-5

    def test_the_chance_of_a_change_is_that_of_another_lead(self) -> None:
        known = job(taught(name(0), 0.85, 1), taught(name(1), 0.85, 1, salt=1), taught(name(2), 0.5, 1, salt=2))
        found = model(known)
        lead = summary_of(found).lead
        rest = [Step(teacher=name(index), seed=seed, rung=3) for index in range(3) for seed in SEEDS]
        assert 0.2 < chance_of_change(found, rest, lead) < 0.7
        assert chance_of_change(found, [], lead) == 0
        assert chance_of_change(found, rest, name(2)) == pytest.approx(1.0)
