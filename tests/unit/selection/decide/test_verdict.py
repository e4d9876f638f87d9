"""The verdict's facts on hand-made results."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from dpk_core.codec import from_json, to_json
from dpk_core.selection.decide.job_results import Arm, JobResults
from dpk_core.selection.decide.summary import model
from dpk_core.selection.decide.verdict import Verdict, decide
from dpk_core.selection.estimate import Estimate
from tests.unit.selection.made_up import SEEDS, job, right, taught

ALONE = taught(None, 0.80, salt=9)


def final(*arms: Arm) -> Verdict:
    return decide(job(*arms), final=True)


def gains(known: JobResults) -> dict[str, Estimate]:
    full = model(known).full
    assert full is not None
    return full.gains()


def noisy(teacher: str | None, level: float, salt: int) -> Arm:
    """Trained fully on pictures that are luck to a good part, alike for no two arms."""
    chance = np.random.default_rng(salt)
    evidence = {seed: chance.random(800) < level for seed in SEEDS}
    curves = {seed: (0.5, 0.6, 0.7, float(each.mean())) for seed, each in evidence.items()}
    return Arm(teacher=teacher, teacher_score=None if teacher is None else 0.9, curves=curves, evidence=evidence)


class TestBest:
    def test_one_teacher_that_clearly_helps(self) -> None:
        verdict = final(taught("cifar/a", 0.90), taught("cifar/b", 0.95, salt=1), ALONE)
        assert (verdict.kind, verdict.best, verdict.tied, verdict.worth) == ("best", "cifar/b", (), "helps")
        assert verdict.gain is not None
        assert verdict.gain.low < 0.15 < verdict.gain.high
        assert (verdict.runner_up, verdict.runner_up_is_second) == ("cifar/a", True)
        assert verdict.ahead["cifar/a"].value == pytest.approx(0.05, abs=0.01)
        assert verdict.chance is not None
        assert verdict.chance > 0.99
        assert verdict.change == 0

    def test_identical_teachers_tie(self) -> None:
        twin = taught("cifar/a", 0.95)
        verdict = final(twin, replace(twin, teacher="cifar/b"), ALONE)
        assert (verdict.kind, verdict.best, verdict.tied) == ("tie", "cifar/a", ("cifar/b",))
        assert verdict.gains.keys() == {"cifar/a", "cifar/b"}

    def test_a_difference_of_no_use_is_a_tie(self) -> None:
        known = job(taught("cifar/a", 0.95), taught("cifar/b", 0.953, salt=1), ALONE)
        assert decide(known, final=True, margin=0.02).kind == "tie"

    def test_how_near_the_best_it_is_by_the_jobs_margin(self) -> None:
        known = job(taught("cifar/a", 0.95), taught("cifar/b", 0.952, salt=1), ALONE)
        narrow, wide = (decide(known, final=True, margin=margin) for margin in (0.0, 0.05))
        assert narrow.near == pytest.approx(narrow.chance)
        assert (wide.near, wide.margin) == (1, 0.05)

    def test_of_equals_the_cheapest_on_request(self) -> None:
        dear = replace(taught("cifar/b", 0.952, salt=1), paces={0: 4.0})
        cheap = replace(taught("cifar/a", 0.95), paces={0: 1.0})
        known = job(dear, cheap, ALONE)
        assert decide(known, final=True).best == "cifar/b"
        verdict = decide(known, final=True, prefer_cheaper=True)
        assert (verdict.best, verdict.tied, verdict.cheapest) == ("cifar/a", ("cifar/b",), True)
        clear = job(replace(taught("cifar/b", 0.99, salt=1), paces={0: 4.0}), cheap, ALONE)
        assert decide(clear, final=True, prefer_cheaper=True).best == "cifar/b"

    def test_one_that_was_not_trained_fully_and_may_be_the_best_stays_open(self) -> None:
        leader = Arm(teacher="cifar/a", teacher_score=0.9, curves=dict.fromkeys(SEEDS, (0.7, 0.75, 0.8)))
        verdict = final(leader, taught("cifar/b", 0.75), taught("cifar/c", 0.75, salt=1), taught(None, 0.5, salt=9))
        assert verdict.best in {"cifar/b", "cifar/c"}
        assert "cifar/a" in verdict.open
        assert verdict.untried == ()
        assert verdict.chance is not None
        assert verdict.change is not None
        assert verdict.chance < 0.3
        assert verdict.change > 0.7


class TestNoHelp:
    def test_harm(self) -> None:
        verdict = final(taught("cifar/a", 0.6), taught("cifar/b", 0.5, salt=1), ALONE)
        assert (verdict.kind, verdict.best, verdict.worth) == ("no_teacher", None, "harms")

    def test_within_noise(self) -> None:
        verdict = final(taught("cifar/a", 0.80), taught("cifar/b", 0.78, salt=1), ALONE)
        assert (verdict.kind, verdict.worth) == ("no_teacher", "within_noise")

    def test_too_small(self) -> None:
        verdict = decide(job(taught("cifar/a", 0.83), ALONE), final=True, margin=0.1)
        assert (verdict.kind, verdict.worth) == ("no_teacher", "too_small")

    def test_four_teachers_that_do_nothing_are_seldom_taken(self) -> None:
        taken = [
            final(
                *(noisy(f"cifar/{each}", 0.8, 10 * salt + each) for each in range(4)), noisy(None, 0.8, 10 * salt + 9)
            )
            for salt in range(25)
        ]
        assert sum(each.best is not None for each in taken) <= 4

    def test_no_teacher_is_not_said_while_one_that_may_help_was_not_trained(self) -> None:
        trained = (taught("cifar/a", 0.801), taught("cifar/b", 0.795, salt=1), ALONE)
        verdict = final(*trained, taught("cifar/c", 0.83, {0: 2}, salt=2))
        assert (verdict.kind, verdict.undecided, verdict.best) == ("undecided", "others_may_help", None)
        assert verdict.open == ("cifar/c",)
        assert final(*trained, taught("cifar/d", 0.4, 2, salt=4)).kind == "no_teacher"


class TestUndecided:
    def test_nothing_was_tried(self) -> None:
        verdict = final(Arm(teacher="cifar/a"), ALONE)
        assert (verdict.undecided, verdict.final, verdict.chance) == ("nothing_tried", True, None)

    def test_results_are_still_to_come(self) -> None:
        verdict = decide(job(taught("cifar/a", 0.9, 1), taught("cifar/b", 0.9, 1, salt=1), ALONE), final=False)
        assert (verdict.kind, verdict.undecided, verdict.final) == ("undecided", "so_far", False)
        assert {verdict.lead, *verdict.rivals} == {"cifar/a", "cifar/b"}
        assert (verdict.counts.candidates, verdict.counts.tried) == (2, 2)

    @pytest.mark.parametrize(
        ("teacher", "alone", "why"),
        [
            (taught("cifar/a", 0.9, 2), ALONE, "no_full_training"), (taught("cifar/a", 0.9, {0: 4}), ALONE, "one_seed"),
            (taught("cifar/a", 0.9), taught(None, 0.8, {0: 4}), "no_baseline"),
            (taught("cifar/a", 0.9), replace(ALONE, failed=True), "no_baseline"),
        ],
    )  # fmt: skip
    def test_too_little_was_trained(self, teacher: Arm, alone: Arm, why: str) -> None:
        verdict = final(teacher, alone)
        assert (verdict.kind, verdict.undecided, verdict.lead, verdict.final) == ("undecided", why, "cifar/a", True)

    def test_a_teacher_near_chance_carries_no_firm_verdict(self) -> None:
        for level, worth in ((0.5, "harms"), (0.8, "within_noise"), (0.9, "helps")):
            verdict = final(replace(taught("cifar/a", level), near_chance=True), ALONE)
            assert (verdict.kind, verdict.undecided, verdict.best) == ("undecided", "near_chance", None)
            assert verdict.gain is not None
            assert verdict.worth == worth

    @pytest.mark.parametrize("cheaper", [False, True])
    def test_nor_is_it_an_equal_or_the_cheapest_of_equals(self, cheaper: bool) -> None:
        able = replace(taught("cifar/a", 0.952), paces={0: 4.0})
        blind = replace(taught("cifar/b", 0.95, salt=1), near_chance=True, paces={0: 1.0})
        known = replace(job(able, blind, ALONE), spend_near_chance=True)
        verdict = decide(known, final=True, prefer_cheaper=cheaper)
        assert (verdict.kind, verdict.best, verdict.tied) == ("best", "cifar/a", ())
        assert verdict.runner_up == "cifar/b", "what was measured of it is still shown"


def test_failed_teachers_are_not_in_it() -> None:
    verdict = final(replace(taught("cifar/b", 0.99), failed=True), taught("cifar/a", 0.9), ALONE)
    assert verdict.best == "cifar/a"
    assert verdict.counts.candidates == 1


def test_gains_are_of_all_that_were_trained_and_need_a_baseline() -> None:
    known = job(taught("cifar/a", 0.85), taught("cifar/b", 0.9, 2), ALONE)
    assert gains(known).keys() == {"cifar/a"}
    assert gains(job(taught("cifar/a", 0.85))) == {}


def test_a_hopeless_candidate_moves_nobodys_gain() -> None:
    def gain(known: JobResults) -> float:
        return gains(known)["cifar/a"].value

    alone = (taught("cifar/a", 0.85), taught("cifar/b", 0.84, salt=1), ALONE)
    assert gain(job(*alone, taught("cifar/c", 0.2, salt=2, score=0.1))) == pytest.approx(gain(job(*alone)), abs=0.0012)


def test_it_is_stored_as_it_is() -> None:
    for verdict in (final(taught("cifar/a", 0.9), taught("cifar/b", 0.899, salt=1), ALONE), final(ALONE)):
        assert from_json(Verdict, to_json(verdict)) == verdict


@settings(max_examples=10, deadline=None)
@given(some.permutations(range(4)))
def test_the_order_of_the_request_is_irrelevant(order: list[int]) -> None:
    arms = [*(taught(f"cifar/{index}", 0.82 + 0.01 * index, salt=index) for index in range(3)), ALONE]
    assert final(*arms) == final(*(arms[index] for index in order))


def test_pictures_of_evidence_are_its_mean() -> None:
    assert right(0.75).mean() == 0.75
