"""Decisions on the event clock: from results and paces alone, for as many slots as there are."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from dpk_core.codec import from_json, to_json
from dpk_core.selection.decide.job_results import EIGHTHS, Arm, JobResults
from dpk_core.selection.decide.schedule import Begun, Decision, Rules, StepState, next_decision
from tests.unit.selection.made_up import EASE, PICTURES

TEACHERS = ("f/a", "f/b", "f/c", "f/d")
SEEDS = (0, 1, 2)


class Simulated:
    """A job whose trainings end when the test says so. Those in `fails` fail, and their arm with them; what its other
    trainings measured stays known, and those that were decided go on."""

    def __init__(
        self, levels: Mapping[str | None, float], rules: Rules, *, paces: Mapping[str | None, float] | None = None,
        fails: frozenset[tuple[str | None, int]] = frozenset(), wobble: float = 0.003,
    ) -> None:  # fmt: skip
        self.rules, self.paces, self.fails = rules, paces or {}, fails
        chance = np.random.default_rng(5)
        gap = np.linspace(0.2, 0, len(EIGHTHS))
        self.curves = {
            (teacher, seed): (level - gap + chance.normal(0, wobble)).tolist()
            for teacher, level in levels.items() for seed in SEEDS
        }  # fmt: skip
        self.teachers = tuple(levels)
        self.decisions: list[Decision] = []
        self.over: set[tuple[str | None, int, int]] = set()

    def results(self) -> JobResults:
        return JobResults(
            arms=tuple(self._arm(teacher) for teacher in self.teachers), rungs=EIGHTHS, seeds=SEEDS,
            sampling_variance=0.16 / PICTURES,
        )  # fmt: skip

    def _arm(self, teacher: str | None) -> Arm:
        reached: dict[int, int] = {}
        for name, seed, rung in self.over:
            if name == teacher and (name, seed) not in self.fails:
                reached[seed] = max(reached.get(seed, 0), rung + 1)
        curves = {seed: tuple(self.curves[teacher, seed][:count]) for seed, count in reached.items()}
        evidence = {
            seed: round(curve[-1] * PICTURES) > EASE for seed, curve in curves.items() if len(curve) == len(EIGHTHS)
        }
        return Arm(
            teacher=teacher, teacher_score=None if teacher is None else 0.9, curves=curves, evidence=evidence,
            paces=dict.fromkeys(curves, self.paces.get(teacher, 1.0)),
            failed=any(name == teacher and (name, seed) in self.fails for name, seed, _ in self.over),
        )  # fmt: skip

    def state(self, begun: Begun) -> StepState:
        step = begun.step
        if (step.teacher, step.seed, step.rung) not in self.over:
            return "running"
        return "failed" if step.training in self.fails else "finished"

    def waiting(self) -> list[Begun]:
        begun = [each for decision in self.decisions for each in decision.steps]
        return [each for each in begun if self.state(each) == "running"]

    def play(self, dice: random.Random | None = None) -> list[Decision]:
        while True:
            decision = next_decision(self.results(), self.decisions, self.state, self.rules)
            if decision is None:
                return self.decisions
            if decision != "wait":
                self.decisions.append(decision)
                continue
            waiting = self.waiting()
            assert waiting, "it waits for nothing"
            ended = waiting[0] if dice is None else dice.choice(waiting)
            self.over.add((ended.step.teacher, ended.step.seed, ended.step.rung))


CLEAR: dict[str | None, float] = {"f/a": 0.80, "f/b": 0.86, "f/c": 0.79, "f/d": 0.78, None: 0.76}
CLOSE: dict[str | None, float] = {"f/a": 0.800, "f/b": 0.802, "f/c": 0.801, "f/d": 0.799, None: 0.798}


def every_training(*teachers: str) -> frozenset[tuple[str | None, int]]:
    return frozenset((teacher, seed) for teacher in teachers for seed in SEEDS)


def trained(decisions: list[Decision], teacher: str | None) -> set[int]:
    """Seeds of its full trainings."""
    steps = [each.step for decision in decisions for each in decision.steps]
    return {step.seed for step in steps if step.teacher == teacher and step.rung == 7}


@pytest.mark.parametrize("slots", [1, 2, 8])
@pytest.mark.parametrize("levels", [CLEAR, CLOSE])
@pytest.mark.parametrize("fails", [frozenset(), every_training("f/b"), frozenset({("f/a", 1)}), frozenset({(None, 1)})])
def test_no_order_of_ends_changes_a_decision(
    slots: int, levels: dict[str | None, float], fails: frozenset[tuple[str | None, int]]
) -> None:
    paces = {"f/a": 1.0, "f/b": 4.0, "f/c": 2.0, "f/d": 1.0, None: 0.5}
    played = Simulated(levels, Rules(slots=slots), paces=paces, fails=fails).play()
    for seed in range(12 if slots == 8 and len(fails) == 1 else 2):
        again = Simulated(levels, Rules(slots=slots), paces=paces, fails=fails)
        assert again.play(random.Random(seed)) == played


@pytest.mark.parametrize("slots", [1, 3, 8])
def test_never_more_than_the_slots_and_never_a_training_twice_at_once(slots: int) -> None:
    steps = [each for decision in Simulated(CLOSE, Rules(slots=slots)).play() for each in decision.steps]
    for each in steps:
        beside = [other for other in steps if other.begins <= each.begins < other.ends]
        assert len(beside) <= slots
        assert len({other.step.training for other in beside}) == len(beside)


@pytest.mark.parametrize("slots", [1, 8])
def test_everybody_is_looked_at_and_the_lead_is_confirmed_beside_no_teacher(slots: int) -> None:
    decisions = Simulated(CLEAR, Rules(slots=slots)).play()
    looked = {each.step.teacher for decision in decisions for each in decision.steps if each.step.rung == 0}
    assert looked == set(TEACHERS)
    assert len(trained(decisions, "f/b")) >= 2
    assert trained(decisions, "f/b") == trained(decisions, None)
    assert [each.stage for each in decisions] == sorted((each.stage for each in decisions), reverse=True)
    assert decisions[-1].promoted[0] == "f/b"


def test_more_slots_end_earlier_and_cost_little_more() -> None:
    ends, costs = [], []
    for slots in (1, 4):
        steps = [each for decision in Simulated(CLEAR, Rules(slots=slots)).play() for each in decision.steps]
        ends.append(max(each.ends for each in steps))
        costs.append(sum(each.ends - each.begins for each in steps))
    assert ends[1] < 0.5 * ends[0]
    assert costs[1] < 1.5 * costs[0]


def test_a_clear_gain_needs_no_further_seed_and_an_unclear_one_gets_all() -> None:
    assert trained(Simulated(CLEAR, Rules(), wobble=0.0).play(), None) == {0, 1}
    assert trained(Simulated(CLOSE, Rules()).play(), None) == set(SEEDS)


def test_where_the_lead_fails_the_next_takes_its_place() -> None:
    decisions = Simulated(CLEAR, Rules(), fails=every_training("f/b")).play()
    assert len(trained(decisions, "f/a")) >= 2
    assert "f/b" not in decisions[-1].promoted


def test_why_teachers_are_promoted_follows_from_what_the_decision_knew() -> None:
    (why,) = [each for each in Simulated(CLEAR, Rules(slots=8)).play() if each.promotions]
    assert why.stage == "confirming"
    assert why.summary is not None
    assert {each.teacher: each.chance for each in why.promotions} == why.summary.chances
    assert [each.teacher for each in why.promotions if each.promoted] == list(why.promoted)


def test_where_every_teacher_fails_no_teacher_is_trained() -> None:
    decisions = Simulated(CLEAR, Rules(slots=2), fails=every_training(*TEACHERS)).play()
    assert trained(decisions, None) == set(SEEDS)
    assert decisions[-1].stage == "confirming"


def test_the_audited_is_trained_fully_all_the_same() -> None:
    rules = Rules(audited=lambda dropped: min(dropped) if dropped else None)
    decisions = Simulated(CLEAR, rules).play()
    (audited,) = {each.audited for each in decisions if each.stage == "confirming"}
    assert audited is not None
    assert trained(decisions, audited) == set(SEEDS)


@pytest.mark.parametrize("policy", ["exhaustive", "halving", "teacher_accuracy"])
def test_other_policies_wait_for_all_that_was_begun_together(policy: str) -> None:
    job = Simulated(CLEAR, Rules(policy=policy, slots=2))
    for decision in job.play(random.Random(1)):
        before = [each for earlier in job.decisions[: job.decisions.index(decision)] for each in earlier.steps]
        assert all(each.ends <= decision.at for each in before)
    everybody = {teacher for teacher in TEACHERS if trained(job.decisions, teacher) == set(SEEDS)}
    assert len(everybody) == {"exhaustive": 4, "halving": 1, "teacher_accuracy": 1}[policy]


def test_a_budget_of_trainings_is_kept() -> None:
    decisions = Simulated(CLOSE, Rules(runs=6)).play()
    begun = {each.step.training for decision in decisions for each in decision.steps}
    assert len(begun) <= 6
    assert {seed for teacher, seed in begun if teacher is None} == {0, 1}


def test_when_the_time_is_over_it_confirms_in_name_and_ends() -> None:
    job = Simulated(CLOSE, Rules())
    decision = next_decision(job.results(), [], job.state, job.rules, late=True)
    assert decision is not None
    assert decision != "wait"
    assert (decision.stage, decision.steps, decision.reason.kind) == ("confirming", (), "time_over")
    assert next_decision(job.results(), [decision], job.state, job.rules, late=True) is None


def test_decisions_are_stored_as_they_are() -> None:
    for decision in Simulated(CLOSE, Rules(slots=2)).play():
        assert from_json(Decision, to_json(decision)) == decision


def test_a_decision_about_many_is_quick() -> None:
    """33 teachers x 20 seeds x 8 rungs; the bound is a second, as speeds are measured in `benchmarks/`."""
    teachers = [f"f/t{index}" for index in range(33)]
    chance = np.random.default_rng(3)
    arms = tuple(
        Arm(
            teacher=teacher, teacher_score=0.9, paces={0: 1.0},
            curves={seed: tuple((0.8 - np.linspace(0.2, 0, 8) + chance.normal(0, 0.01, 8))[:7]) for seed in range(20)},
        )
        for teacher in teachers
    )  # fmt: skip
    known = JobResults(arms=arms, rungs=EIGHTHS, seeds=tuple(range(20)), sampling_variance=1e-4)
    began = time.process_time()
    assert next_decision(replace(known), [], lambda _: "finished", Rules(slots=8)) is not None
    assert time.process_time() - began < 5
