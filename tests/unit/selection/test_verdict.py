"""Promotion and verdict on hand-made results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from dpk_core.selection.decide.job_results import STANDARD_RUNGS, Arm, Knowledge, Prior
from dpk_core.selection.decide.promotion import promotions
from dpk_core.selection.decide.summary import alike, outlook
from dpk_core.selection.decide.verdict import Verdict, decide, gains
from dpk_core.selection.fitting import fitted
from dpk_core.selection.posterior import Model
from tests.unit.selection.made_up import MISSING, RUNGS, SEEDS

RISE = np.array(MISSING)


def arm(
    name: str | None, level: float, rungs: int | Mapping[int, int] = 4, *, salt: int = 0, accuracy: float | None = 0.9
) -> Arm:
    """A teacher's arm around a full accuracy, with the rungs reached on all seeds or by seed."""
    reached = dict.fromkeys(SEEDS, rungs) if isinstance(rungs, int) else rungs
    chance = np.random.default_rng(salt)
    noise = {seed: chance.normal(0, 0.002) for seed in SEEDS}
    curves = {seed: tuple((level - RISE + noise[seed])[:count].tolist()) for seed, count in reached.items()}
    return Arm(
        teacher=None if name is None else f"cifar/{name}",
        teacher_accuracy=None if name is None else accuracy,
        curves=curves,
    )


def job(*arms: Arm, seeds: tuple[int, ...] = SEEDS) -> Knowledge:
    return Knowledge(arms=arms, rungs=RUNGS, seeds=seeds)


ALONE = arm(None, 0.80, salt=9)


def final(*arms: Arm) -> Verdict:
    """The verdict with beliefs as wide as a job makes them."""
    return decide(fitted(job(*arms)), final=True)


class TestPrior:
    def test_at_its_own_rungs_it_is_itself(self) -> None:
        assert Prior().at(STANDARD_RUNGS) == Prior()

    def test_between_rungs_it_lies_between(self) -> None:
        found = Prior().at((3 / 8, 1.0))
        assert Prior().mismatch[2] < found.mismatch[0] < Prior().mismatch[1]
        assert found.mismatch[1] == 0
        assert found.seed_spread[1] == Prior().seed_spread[3]

    def test_below_the_first_rung_it_is_as_at_the_first(self) -> None:
        assert Prior().at((1 / 100, 1.0)).seed_spread[0] == Prior().seed_spread[0]


class TestPromotions:
    def test_the_likeliest_go_on(self) -> None:
        answer = promotions(job(arm("a", 0.80, 1), arm("b", 0.95, 1), arm("c", 0.85, 1), arm(None, 0.99)), 2)
        assert [(each.teacher, each.promoted) for each in answer] == [
            ("cifar/b", True), ("cifar/c", True), ("cifar/a", False),
        ]  # fmt: skip

    def test_of_two_with_hardly_a_chance_the_better_goes_on_not_the_less_known(self) -> None:
        known = job(arm("a", 0.94), arm("b", 0.95), arm("c", 0.92, 1))
        chances = outlook(Model(known).posterior.teachers).chances
        assert 0.01 > chances["cifar/c"] > chances["cifar/a"] > 0
        assert [each.teacher for each in promotions(known, 2)] == ["cifar/b", "cifar/a", "cifar/c"]

    def test_a_higher_chance_counts_more_than_what_is_expected(self) -> None:
        answer = promotions(job(arm("a", 0.94), arm("b", 0.95), arm("c", 0.93, 1)), 2)
        assert [each.teacher for each in answer] == ["cifar/b", "cifar/c", "cifar/a"]

    def test_chances_that_the_draws_cannot_tell_apart_are_alike(self) -> None:
        assert alike(0.09, 0.08)
        assert not alike(0.09, 0.07)
        assert alike(0.48, 0.5)
        assert alike(0.0, 0.0)
        assert not alike(0.0, 0.01)

    def test_rung_value_and_threshold_are_in_the_reason(self) -> None:
        reason = promotions(job(arm("a", 0.80, {0: 2, 1: 1}), arm("b", 0.95, 2)), 1)[1].reason
        assert "after rung 2 of 4 (25% of the training) on 1 seed: 60." in reason
        assert reason.endswith("; the last one promoted, b, had 75.0%.")

    def test_without_a_seed_in_common_the_threshold_is_what_is_expected(self) -> None:
        reason = promotions(job(arm("a", 0.80, {0: 2}), arm("b", 0.95, {1: 4})), 1)[1].reason
        assert "% expected in full training, of the last one promoted, b, 9" in reason

    def test_a_teacher_that_was_never_trained_with_says_so(self) -> None:
        answer = promotions(job(arm("a", 0.80, 2), arm("b", 0.95, 2), arm("c", 0.9, {})), 1)
        reasons = {each.teacher: each.reason for each in answer}
        assert "before any training under it" in reasons["cifar/c"]

    def test_a_failed_teacher_is_left_out(self) -> None:
        failed = replace(arm("b", 0.95, 1), failed=True)
        assert [each.teacher for each in promotions(job(arm("a", 0.8, 1), failed), 2)] == ["cifar/a"]
        assert promotions(job(failed, ALONE), 2) == ()

    @settings(max_examples=20, deadline=None)
    @given(some.permutations(range(5)), some.lists(some.floats(0.4, 0.9), min_size=5, max_size=5))
    def test_the_order_of_the_request_is_irrelevant(self, order: list[int], levels: list[float]) -> None:
        arms = [arm(f"t{index}", level, 1, accuracy=level, salt=index) for index, level in enumerate(levels)]
        assert promotions(job(*arms), 2) == promotions(job(*(arms[index] for index in order)), 2)


class TestVerdict:
    def test_best(self) -> None:
        verdict = final(arm("a", 0.90), arm("b", 0.95, salt=1), ALONE)
        assert (verdict.kind, verdict.best, verdict.tied) == ("best", "cifar/b", ())
        assert verdict.sentence.startswith("Take b: it beats no teacher by 15.")
        assert "and a, the next best, by 5.0" in verdict.sentence
        assert verdict.chance is not None
        assert verdict.chance > 0.99
        assert verdict.regret is not None
        assert verdict.regret < 1e-4
        assert verdict.change == 0

    def test_a_tie_when_the_difference_is_within_noise(self) -> None:
        verdict = final(arm("a", 0.9500), arm("b", 0.9501, salt=1), ALONE)
        assert verdict.kind == "tie"
        assert {verdict.best, *verdict.tied} == {"cifar/a", "cifar/b"}
        assert "is within noise; both beat no teacher by at least 1" in verdict.sentence
        assert verdict.chance is not None
        assert 0.2 < verdict.chance < 0.8

    def test_identical_teachers_tie(self) -> None:
        twin = arm("a", 0.95)
        verdict = final(twin, replace(twin, teacher="cifar/b"), ALONE)
        assert (verdict.kind, len(verdict.tied)) == ("tie", 1)

    def test_a_difference_of_no_use_is_a_tie(self) -> None:
        sure = Prior(seed_spread=(1e-5,) * 4, common_spread=1e-5, mismatch=(1e-5, 1e-5, 1e-5, 0.0))
        known = replace(job(arm("a", 0.95), arm("b", 0.952), ALONE), prior=sure)
        verdict = decide(known, final=True)
        assert verdict.chance is not None
        assert verdict.chance > 0.99
        assert (verdict.kind, verdict.best, verdict.tied) == ("tie", "cifar/b", ("cifar/a",))
        strict = decide(known, final=True, margin=0.001)
        assert (strict.kind, strict.best, strict.tied) == ("best", "cifar/b", ())

    def test_a_change_is_from_the_teacher_that_is_named(self) -> None:
        """The likeliest is not trained fully, so another is named; training it will most likely put it in its place."""
        leader = Arm(teacher="cifar/a", teacher_accuracy=0.9, curves=dict.fromkeys(SEEDS, (0.7, 0.75, 0.8)))
        others = [
            Arm(teacher=f"cifar/{n}", teacher_accuracy=0.9, curves=dict.fromkeys(SEEDS, (0.6, 0.65, 0.7, 0.75)))
            for n in "bc"
        ]
        verdict = decide(job(leader, *others, arm(None, 0.5)), final=True)
        assert verdict.best in {"cifar/b", "cifar/c"}
        assert "not ruled out: a" in verdict.sentence
        assert verdict.chance is not None
        assert verdict.change is not None
        assert verdict.chance < 0.1
        assert verdict.change > 0.9

    def test_how_near_the_best_it_is_by_the_jobs_margin(self) -> None:
        known = job(arm("a", 0.95), arm("b", 0.952, salt=1), ALONE)
        narrow, wide = (decide(known, final=True, margin=margin) for margin in (0.0, 0.05))
        assert narrow.near == pytest.approx(narrow.chance)
        assert wide.near == 1
        assert wide.margin == 0.05

    def test_of_equals_the_cheapest_on_request(self) -> None:
        dear, cheap = replace(arm("b", 0.9502, salt=1), cost=4.0), replace(arm("a", 0.95), cost=1.0)
        known = job(dear, cheap, ALONE)
        assert decide(known, final=True).best == "cifar/b"
        verdict = decide(known, final=True, prefer_cheaper=True)
        assert (verdict.best, verdict.tied) == ("cifar/a", ("cifar/b",))
        assert verdict.sentence.startswith("Take a, the cheapest to train with; b is within noise")
        clear = decide(job(replace(dear, curves=arm("b", 0.99).curves), cheap, ALONE), final=True, prefer_cheaper=True)
        assert clear.best == "cifar/b"

    def test_no_teacher_when_the_gain_is_within_noise(self) -> None:
        verdict = final(arm("a", 0.80), arm("b", 0.78, salt=1), ALONE)
        assert (verdict.kind, verdict.best) == ("no_teacher", None)
        assert "within noise" in verdict.sentence

    def test_harm_is_called_harm(self) -> None:
        verdict = final(arm("a", 0.6), arm("b", 0.5, salt=1), ALONE)
        assert verdict.kind == "no_teacher"
        assert "it does harm" in verdict.sentence

    def test_a_gain_of_no_use_is_no_help(self) -> None:
        sure = Prior(seed_spread=(1e-5,) * 4, common_spread=1e-5, mismatch=(1e-5, 1e-5, 1e-5, 0.0))
        known = replace(job(arm("a", 0.802), arm(None, 0.80)), prior=sure)
        verdict = decide(known, final=True)
        assert verdict.kind == "no_teacher"
        assert verdict.sentence.endswith("which is too little to matter.")

    def test_no_teacher_is_not_said_while_one_that_may_help_was_not_trained(self) -> None:
        trained = (arm("a", 0.801), arm("b", 0.795, salt=1), ALONE)
        verdict = final(*trained, arm("c", 0.83, {0: 1}, salt=2), arm("d", 0.4, 1, salt=4))
        assert (verdict.kind, verdict.best) == ("undecided", None)
        assert verdict.sentence.startswith("Undecided: the best of those trained fully, a, changes the student by ")
        assert verdict.sentence.endswith(" c may help, but was not trained fully.")
        ruled_out = final(*trained, arm("d", 0.4, 1, salt=4))
        assert ruled_out.kind == "no_teacher"
        assert ruled_out.sentence.startswith("Take no teacher: the best of those trained fully, a,")

    def test_one_clear_gain_is_enough_though_another_is_expected_to_be_larger(self) -> None:
        seeds = tuple(range(8))

        def around(level: float, count: int) -> dict[int, tuple[float, ...]]:
            return {seed: tuple((level - RISE).tolist()) for seed in seeds[:count]}

        unsure = Arm(teacher="cifar/a", teacher_accuracy=0.9, curves=around(0.806, 2))
        sure = Arm(teacher="cifar/b", teacher_accuracy=0.9, curves=around(0.805, 8))
        known = job(unsure, sure, Arm(teacher=None, curves=around(0.8, 8)), seeds=seeds)
        noisy = Prior(seed_spread=(0.015, 0.012, 0.008, 0.006), mismatch=(0.006, 0.005, 0.004, 0.0))
        verdict = decide(replace(known, prior=noisy), final=True)
        assert verdict.kind == "tie"
        assert verdict.best == "cifar/b"
        assert verdict.tied == ("cifar/a",)

    def test_certainty_is_never_claimed(self) -> None:
        verdict = decide(job(arm("a", 0.9), arm("b", 0.5, salt=1), ALONE), final=False)
        assert "best with a chance of over 99%" in verdict.sentence

    def test_one_seed_decides_nothing(self) -> None:
        one = job(arm("a", 0.9, {0: 4}), arm(None, 0.6, {0: 4}), seeds=(0,))
        verdict = decide(one, final=True)
        assert verdict.kind == "undecided"
        assert "one seed" in verdict.sentence
        assert gains(one) == {}

    def test_without_a_baseline_no_worth_is_claimed(self) -> None:
        for alone in (replace(ALONE, failed=True), arm(None, 0.8, {0: 4})):
            verdict = final(arm("a", 0.9), arm("b", 0.8, salt=1), alone)
            assert verdict.kind == "undecided"
            assert "its worth is unknown" in verdict.sentence

    def test_nothing_finished(self) -> None:
        for arms in ((arm("a", 0.8, {}), ALONE), (replace(arm("a", 0.8), failed=True), ALONE), (ALONE,)):
            assert decide(job(*arms), final=True).kind == "undecided"
        assert "no teacher's full training" in final(arm("a", 0.8, 2), ALONE).sentence

    def test_before_the_end_it_says_who_leads(self) -> None:
        verdict = decide(job(arm("a", 0.8, 1), arm("b", 0.84, 1), arm("c", 0.838, 1), ALONE), final=False)
        assert verdict.kind == "undecided"
        assert verdict.sentence.startswith("Undecided: b leads, best with a chance of ")
        assert verdict.sentence.endswith("c may still be better.")
        assert verdict.change is not None
        assert verdict.change > 0

    def test_a_dropped_teacher_that_may_be_as_good_is_named_and_tied(self) -> None:
        trained = (arm("a", 0.89), arm("b", 0.91, salt=1), ALONE)
        near, far = arm("c", 0.965, {0: 1}, salt=3), arm("d", 0.5, 1, salt=4)
        verdict = final(*trained, near, far)
        assert verdict.sentence.endswith(" Not trained fully and not ruled out: c.")
        assert (verdict.kind, verdict.tied) == ("tie", ("cifar/c",))
        assert "ruled out" not in final(*trained, far).sentence

    def test_gains_are_paired_by_seed(self) -> None:
        luck = np.array([-0.1, 0.0, 0.1])

        def around(level: float) -> dict[int, tuple[float, ...]]:
            return {seed: tuple((level + luck[seed] - RISE).tolist()) for seed in SEEDS}

        found = gains(job(Arm(teacher="cifar/a", curves=around(0.75)), Arm(teacher=None, curves=around(0.7))))
        assert found["cifar/a"].value == pytest.approx(0.05, abs=0.005)
        assert found["cifar/a"].high - found["cifar/a"].low < 0.04

    @settings(max_examples=10, deadline=None)
    @given(some.floats(0.3, 0.6))
    def test_a_hopeless_teacher_does_not_change_the_winner(self, hopeless: float) -> None:
        arms = (arm("a", 0.90), arm("b", 0.95, salt=1), ALONE)
        assert final(*arms).best == final(*arms, arm("z", hopeless, 1, salt=3)).best

    def test_the_order_of_the_arms_is_irrelevant(self) -> None:
        arms = (arm("a", 0.90), arm("b", 0.95, salt=1), arm("c", 0.9659, 2, salt=2), ALONE)
        assert final(*arms) == final(*arms[::-1])


class TestBelief:
    def test_more_seeds_narrow_what_is_expected(self) -> None:
        few, many = (job(arm("a", 0.9, dict.fromkeys(seeds, 4)), ALONE) for seeds in ((0,), SEEDS))
        wide, narrow = (Model(known).posterior.estimate("cifar/a") for known in (few, many))
        assert narrow.high - narrow.low < wide.high - wide.low

    def test_intervals_stay_in_range(self) -> None:
        belief = Model(job(arm("a", 0.999), arm("b", 0.31, 1), ALONE)).posterior
        for each in belief.arms:
            estimate = belief.estimate(each.teacher)
            assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1

    def test_a_difference_leaves_out_what_both_share(self) -> None:
        belief = Model(job(arm("a", 0.9), arm("b", 0.85, salt=1), ALONE)).posterior
        apart = belief.difference("cifar/a", "cifar/b")
        wide = belief.estimate("cifar/a").high - belief.estimate("cifar/a").low
        assert apart.value == pytest.approx(0.05, abs=0.01)
        assert apart.high - apart.low < 1.4 * wide
