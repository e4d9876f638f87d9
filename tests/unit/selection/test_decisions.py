"""Promotion, ranking and verdict on hand-made results."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from dpk_core.selection.expectation import expected_accuracies, ranking
from dpk_core.selection.policy import promotions
from dpk_core.selection.state import Arm, Pair, State
from dpk_core.selection.verdict import decide, gains

SEEDS = (0, 1, 2)


def around(level: float, *, noise: float = 0.002, salt: int = 0) -> dict[int, float]:
    """Three seeds around `level`, the same on every call."""
    random = np.random.default_rng(salt)
    return {seed: level + float(random.normal(0, noise)) for seed in SEEDS}


def arm(name: str | None, probe: float, full: float | None = None, accuracy: float | None = None, salt: int = 0) -> Arm:
    return Arm(
        teacher=None if name is None else f"cifar/{name}",
        teacher_accuracy=accuracy,
        probe=around(probe, salt=salt),
        full={} if full is None else around(full, salt=salt + 100),
    )


def state(*arms: Arm, promote: int = 2, history: tuple[Pair, ...] = ()) -> State:
    return State(arms=arms, seeds=SEEDS, promote=promote, history=history)


class TestPromotions:
    def test_the_best_probes_go_on(self) -> None:
        answer = promotions(state(arm("a", 0.80), arm("b", 0.90), arm("c", 0.85), arm(None, 0.95)))
        assert [(each.teacher, each.promoted) for each in answer] == [
            ("cifar/b", True), ("cifar/c", True), ("cifar/a", False),
        ]  # fmt: skip
        assert "3rd of 3" in answer[-1].reason
        assert "c, had probe" in answer[-1].reason

    def test_a_failed_teacher_is_left_out(self) -> None:
        failed = replace(arm("b", 0.90), failed=True)
        assert [each.teacher for each in promotions(state(arm("a", 0.8), failed))] == ["cifar/a"]

    def test_full_results_that_came_early_change_nothing(self) -> None:
        probes = (arm("a", 0.80), arm("b", 0.90), arm(None, 0.7))
        early = (arm("a", 0.80, full=0.99), arm("b", 0.90), arm(None, 0.7, full=0.2))
        assert promotions(state(*probes)) == promotions(state(*early))

    def test_history_breaks_equal_probes_in_favour_of_the_more_accurate_teacher(self) -> None:
        equal = (arm("a", 0.8, accuracy=0.90), arm("b", 0.8, accuracy=0.99))
        follows = tuple(
            Pair(group="student", teacher_accuracy=x, student_accuracy=0.5 + x / 2) for x in (0.5, 0.7, 0.9)
        )
        against = tuple(replace(pair, student_accuracy=1 - pair.teacher_accuracy) for pair in follows)
        assert promotions(state(*equal, promote=1, history=follows))[0].teacher == "cifar/b"
        assert promotions(state(*equal, promote=1, history=against))[0].teacher == "cifar/a"

    @given(some.permutations(range(5)), some.lists(some.floats(0.1, 0.9), min_size=5, max_size=5))
    def test_the_order_of_the_request_is_irrelevant(self, order: list[int], levels: list[float]) -> None:
        arms = [arm(f"t{index}", level, accuracy=level, salt=index) for index, level in enumerate(levels)]
        assert promotions(state(*arms)) == promotions(state(*(arms[index] for index in order)))


class TestExpectation:
    def test_before_any_full_training_the_level_is_unknown(self) -> None:
        assert expected_accuracies(state(arm("a", 0.8), arm("b", 0.9))) == {}

    def test_a_measured_arm_is_believed(self) -> None:
        belief = expected_accuracies(state(arm("a", 0.80, full=0.90), arm("b", 0.85, full=0.95), arm(None, 0.7)))
        assert belief["cifar/b"].value == pytest.approx(0.95, abs=0.005)
        assert belief["cifar/b"].low < belief["cifar/b"].value < belief["cifar/b"].high

    def test_a_probe_alone_borrows_the_gain_of_the_others(self) -> None:
        belief = expected_accuracies(
            state(arm("a", 0.80), arm("b", 0.85, full=0.95), arm("c", 0.83, full=0.93), arm(None, 0.7, full=0.8))
        )
        alone, measured = belief["cifar/a"], belief["cifar/b"]
        assert alone.value == pytest.approx(0.90, abs=0.01)
        assert alone.high - alone.low > 1.5 * (measured.high - measured.low)

    def test_noisy_probes_do_not_outweigh_full_trainings(self) -> None:
        # Seen on digits: probes early in a training, with a spread of ten points, ran against the full results.
        taught = replace(arm("a", 0.50, full=0.954), probe={0: 0.40, 1: 0.50, 2: 0.60})
        alone = replace(arm(None, 0.75, full=0.943, salt=1), probe={0: 0.65, 1: 0.75, 2: 0.85})
        belief = expected_accuracies(state(taught, alone))
        assert ranking(state(taught, alone)) == ("cifar/a", None)
        assert belief["cifar/a"].value == pytest.approx(0.954, abs=0.003)

    def test_intervals_stay_in_range(self) -> None:
        for estimate in expected_accuracies(state(arm("a", 0.99, full=0.999), arm("b", 0.01), arm(None, 0.5))).values():
            assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1

    def test_more_seeds_narrow_the_interval(self) -> None:
        few, many = (Arm(teacher="cifar/a", probe={0: 0.8}, full=dict.fromkeys(range(count), 0.9)) for count in (2, 8))
        other = arm("b", 0.7, full=0.8)
        narrow, wide = (expected_accuracies(state(each, other))["cifar/a"] for each in (many, few))
        assert narrow.high - narrow.low < wide.high - wide.low

    def test_a_failed_arm_is_not_ranked(self) -> None:
        assert ranking(state(arm("a", 0.8), replace(arm("b", 0.9), failed=True), arm(None, 0.7))) == ("cifar/a", None)


class TestVerdict:
    def test_best(self) -> None:
        verdict = decide(
            state(arm("a", 0.8, 0.90), arm("b", 0.85, 0.95, salt=1), arm(None, 0.7, 0.80, salt=2)), final=True
        )
        assert (verdict.kind, verdict.best, verdict.tied) == ("best", "cifar/b", ())
        assert verdict.sentence.startswith("Take b: it beats no teacher by 14.6 points (90% interval ")
        assert "and a, the next best, by 4.9." in verdict.sentence

    def test_tie_when_the_difference_is_within_noise(self) -> None:
        verdict = decide(
            state(arm("a", 0.8, 0.9500), arm("b", 0.85, 0.9501, salt=1), arm(None, 0.7, 0.80, salt=2)), final=True
        )
        assert verdict.kind == "tie"
        assert {verdict.best, *verdict.tied} == {"cifar/a", "cifar/b"}
        assert "is within noise; both beat no teacher by at least 1" in verdict.sentence

    def test_identical_teachers_tie(self) -> None:
        twin = arm("a", 0.8, 0.95)
        other = replace(twin, teacher="cifar/b")
        verdict = decide(state(twin, other, arm(None, 0.7, 0.80, salt=2)), final=True)
        assert (verdict.kind, verdict.tied) == ("tie", ("cifar/b",))

    def test_no_teacher_when_the_gain_is_within_noise(self) -> None:
        verdict = decide(
            state(arm("a", 0.8, 0.9), arm("b", 0.8, 0.88, salt=1), arm(None, 0.7, 0.9, salt=2)), final=True
        )
        assert (verdict.kind, verdict.best) == ("no_teacher", None)
        assert "within noise" in verdict.sentence

    def test_harm_is_called_harm(self) -> None:
        verdict = decide(state(arm("a", 0.8, 0.7), arm("b", 0.8, 0.6, salt=1), arm(None, 0.7, 0.9, salt=2)), final=True)
        assert verdict.kind == "no_teacher"
        assert "it does harm" in verdict.sentence

    @pytest.mark.parametrize(("gain", "meaning"), [(0.0, "within noise of nothing"), (0.002, "too little to matter")])
    def test_a_gain_of_no_use_is_no_harm(self, gain: float, meaning: str) -> None:
        base = around(0.9)
        taught = {seed: value + gain for seed, value in base.items()}
        verdict = decide(state(Arm(teacher="cifar/a", full=taught), Arm(teacher=None, full=base)), final=True)
        assert verdict.kind == "no_teacher"
        assert verdict.sentence.endswith(f"which is {meaning}.")

    def test_one_seed_decides_nothing(self) -> None:
        one = State(
            arms=(Arm(teacher="cifar/a", full={0: 0.9}), Arm(teacher=None, full={0: 0.6})),
            seeds=(0,),
            promote=1,
        )
        verdict = decide(one, final=True)
        assert verdict.kind == "undecided"
        assert "one seed" in verdict.sentence
        assert gains(one) == {}

    def test_without_a_baseline_no_worth_is_claimed(self) -> None:
        failed = replace(arm(None, 0.7), failed=True)
        verdict = decide(state(arm("a", 0.8, 0.9), arm("b", 0.8, 0.8, salt=1), failed), final=True)
        assert verdict.kind == "undecided"
        assert "its worth is unknown" in verdict.sentence

    def test_nothing_finished(self) -> None:
        assert decide(state(arm("a", 0.8), arm(None, 0.7)), final=True).kind == "undecided"

    def test_after_the_probes_it_names_who_goes_on(self) -> None:
        verdict = decide(state(arm("a", 0.8), arm("b", 0.9), arm("c", 0.85), arm(None, 0.7)), final=False)
        assert verdict.sentence == "Undecided: after the probes b and c are being trained fully."

    def test_a_dropped_teacher_that_may_be_as_good_is_named(self) -> None:
        trained = (arm("a", 0.84, 0.90), arm("b", 0.85, 0.91, salt=1), arm(None, 0.7, 0.80, salt=2))
        near, far = arm("c", 0.838, salt=3), arm("d", 0.5, salt=4)
        sentence = decide(state(*trained, near, far), final=True).sentence
        assert sentence.endswith(" Not trained fully and not ruled out: c.")
        assert "ruled out" not in decide(state(*trained, far), final=True).sentence

    def test_gains_are_paired_by_seed(self) -> None:
        base = {0: 0.70, 1: 0.80, 2: 0.60}
        taught = {seed: value + 0.05 for seed, value in base.items()}
        found = gains(state(Arm(teacher="cifar/a", full=taught), Arm(teacher=None, full=base)))
        assert found["cifar/a"].low == pytest.approx(0.05)
        assert found["cifar/a"].high == pytest.approx(0.05)

    def test_a_hopeless_teacher_does_not_change_the_winner(self) -> None:
        arms = (arm("a", 0.8, 0.90), arm("b", 0.85, 0.95, salt=1), arm(None, 0.7, 0.80, salt=2))
        assert decide(state(*arms), final=True).best == decide(state(*arms, arm("z", 0.1, salt=3)), final=True).best
