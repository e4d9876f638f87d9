"""What every policy promises, whatever it thinks of the results."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from dpk_core.selection.decide.job_results import COST_SD_UNTIMED, EIGHTHS, JobResults, Step
from dpk_core.selection.decide.policies import expected_regret
from dpk_core.selection.decide.policies.policy import Limits, Policy, within
from dpk_core.selection.decide.policies.policy import Reason as Why
from dpk_core.selection.decide.schedule import POLICIES
from dpk_core.selection.decide.summary import Model, summarise
from tests.unit.selection.made_up import RUNGS, SEEDS, arm, job, name, play, reveal, taught, world

Accuracies = NDArray[np.float64]
TRUTH = np.array([0.80, 0.83, 0.78, 0.81])
BUDGETS = (0.0, 0.1, 1.0, 2.7, 12.0)
policies = pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)


def stocked(known: JobResults, *teachers: str) -> JobResults:
    """The same where the store holds every training of these teachers, or of all."""
    arms = (
        replace(arm, stored=dict.fromkeys(SEEDS, RUNGS), begun=frozenset())
        if arm.teacher in teachers or not teachers
        else arm
        for arm in known.arms
    )
    return replace(known, arms=tuple(arms))


def timed(known: JobResults) -> JobResults:
    """The same where every arm's pace is known."""
    return replace(known, arms=tuple(replace(arm, paces={0: 1.0}) for arm in known.arms))


@pytest.fixture(scope="module")
def table() -> Accuracies:
    return world(np.random.default_rng(2), TRUTH)


def test_a_proposal_that_does_not_fit_says_which_limit_it_is(table: Accuracies) -> None:
    known = timed(reveal(table, {(0, 0): 1}))
    steps = [Step(teacher=name(1), seed=0, rung=0)]
    for limits, kind in ((Limits(cost=0.01), "no_cost_left"), (Limits(runs=1), "no_runs_left")):
        found = within(known, steps, limits, Why(kind="pilot"))
        assert (found.steps, found.reason.kind, found.enough) == ((), kind, True)


@policies
class TestEveryPolicy:
    @pytest.mark.parametrize("budget", BUDGETS)
    def test_it_never_exceeds_its_budget_and_ends(self, policy: Policy, table: Accuracies, budget: float) -> None:
        _, spent, proposals = play(policy, table, Limits(cost=budget, chance=0.9))
        assert spent <= budget
        assert proposals[-1].enough

    def test_it_keeps_room_for_trainings_that_come_dearer(self, policy: Policy, table: Accuracies) -> None:
        known = reveal(table, {})
        dearer = 1 + 2 * COST_SD_UNTIMED
        for budget in (0.3, 1.0, 2.7):
            costs = [RUNGS[step.rung] for step in policy.next(known, Limits(cost=budget)).steps]
            assert sum(costs) + (dearer - 1) * max(costs, default=0.0) <= budget
        one = replace(known, arms=known.arms[:1])
        assert not policy.next(one, Limits(cost=0.99 * dearer * RUNGS[0])).steps

    def test_it_never_begins_more_trainings_than_it_may(self, policy: Policy, table: Accuracies) -> None:
        known, _, _ = play(policy, table, Limits(cost=12.0, runs=3))
        assert sum(len(arm.curves) for arm in known.arms) <= 3

    def test_trainings_that_failed_have_begun(self, policy: Policy, table: Accuracies) -> None:
        known = reveal(table, {})
        failed = replace(known.arms[0], failed=True, begun=frozenset({0, 1}))
        known = replace(known, arms=(failed, *known.arms[1:]))
        assert len({step.training for step in policy.next(known, Limits(runs=3)).steps}) == 1
        assert not policy.next(known, Limits(runs=2)).steps

    def test_what_the_store_holds_is_had_without_any_budget(self, policy: Policy, table: Accuracies) -> None:
        reached: dict[tuple[int, int], int] = {}
        while steps := policy.next(stocked(reveal(table, reached)), Limits(cost=0.0, runs=0)).steps:
            reached |= {(int((step.teacher or "")[-1]), step.seed): step.rung + 1 for step in steps}
        assert {seed for _, seed in reached} == set(SEEDS)
        assert max(reached.values()) == len(RUNGS)

    def test_what_the_store_does_not_hold_still_has_its_price(self, policy: Policy, table: Accuracies) -> None:
        known = stocked(reveal(table, {}), *(name(index) for index in range(3)))
        for limits in (Limits(cost=0.0), Limits(runs=0)):
            assert name(3) not in {step.teacher for step in policy.next(known, limits).steps}

    def test_every_step_goes_beyond_what_is_reached(self, policy: Policy, table: Accuracies) -> None:
        known = reveal(table, {(0, 0): 2, (1, 0): 1})
        for limits in (Limits(cost=9.0), Limits(chance=0.9)):
            for step in policy.next(known, limits).steps:
                assert step.rung >= known.arm(step.teacher).reached(step.seed)

    def test_what_is_busy_is_not_begun_again(self, policy: Policy, table: Accuracies) -> None:
        known = reveal(table, {(index, 0): 1 for index in range(4)})
        for busy in (frozenset({(name(1), 0)}), frozenset({(name(index), 0) for index in range(4)})):
            for limits in (Limits(), Limits(cost=9.0)):
                found = policy.next(known, limits, busy)
                assert not {step.training for step in found.steps} & busy
                assert not found.enough

    def test_the_order_of_the_arms_does_not_matter(self, policy: Policy, table: Accuracies) -> None:
        known = reveal(table, {(index, 0): 1 for index in range(4)})
        turned = replace(known, arms=known.arms[::-1])
        for limits in (Limits(cost=5.0), Limits(chance=0.9)):
            assert policy.next(known, limits) == policy.next(turned, limits)

    def test_failed_arms_get_nothing(self, policy: Policy, table: Accuracies) -> None:
        known = reveal(table, {(index, 0): 1 for index in range(4)})
        failed = replace(known, arms=tuple(replace(arm, failed=arm.teacher == name(1)) for arm in known.arms))
        assert name(1) not in {step.teacher for step in policy.next(failed, Limits(cost=12.0)).steps}

    def test_who_learned_nothing_gets_nothing_unless_asked(self, policy: Policy, table: Accuracies) -> None:
        known = reveal(table, {})
        blind = replace(known, arms=tuple(replace(arm, near_chance=arm.teacher == name(1)) for arm in known.arms))
        assert name(1) not in {step.teacher for step in policy.next(blind, Limits()).steps}
        asked = policy.next(replace(blind, spend_near_chance=True), Limits())
        assert (name(1) in {step.teacher for step in asked.steps}) == (policy.name != "teacher_accuracy")

    def test_without_arms_it_stops(self, policy: Policy) -> None:
        assert policy.next(job(), Limits()).enough

    def test_a_single_seed_and_a_single_rung_will_do(self, policy: Policy) -> None:
        known = JobResults(arms=reveal(world(np.random.default_rng(3), TRUTH), {}).arms, rungs=(1.0,), seeds=(0,))
        for limits in (Limits(cost=10.0), Limits(chance=0.9)):
            steps = policy.next(known, limits).steps
            assert steps
            assert all(step.rung == 0 for step in steps)


def test_exhaustive_trains_everything(table: Accuracies) -> None:
    known, spent, _ = play(POLICIES["exhaustive"], table, Limits())
    assert spent == pytest.approx(12.0)
    assert all(len(curve) == len(RUNGS) for arm in known.arms for curve in arm.curves.values())


def test_halving_halves(table: Accuracies) -> None:
    known, _, _ = play(POLICIES["halving"], table, Limits())
    assert sorted(max(len(curve) for curve in arm.curves.values()) for arm in known.arms) == [1, 1, 2, 4]


@pytest.mark.parametrize(
    ("rungs", "reached"),
    [((0.6, 1.0), [1, 1, 2, 2]), ((0.9, 1.0), [1, 1, 2, 2]), ((0.3, 0.6, 1.0), [1, 1, 2, 3])],
)
def test_halving_halves_at_every_rung_of_a_few(rungs: tuple[float, ...], reached: list[int]) -> None:
    assert _halved(rungs, 4) == reached


def test_halving_halves_with_every_doubling_however_many_rungs_there_are() -> None:
    assert _halved(EIGHTHS, 8) == [1, 1, 1, 1, 2, 2, 4, 8]


def _halved(rungs: tuple[float, ...], teachers: int) -> list[int]:
    """How many rungs each teacher reaches, the worst first."""
    known = JobResults(arms=tuple(arm(index) for index in range(teachers)), rungs=rungs, seeds=SEEDS)
    while steps := POLICIES["halving"].next(known, Limits()).steps:
        ends = {step.training: step.rung + 1 for step in steps}
        curves = [
            {seed: (0.5 + 0.05 * index,) * ends.get((each.teacher, seed), each.reached(seed)) for seed in SEEDS}
            for index, each in enumerate(known.arms)
        ]
        known = replace(known, arms=tuple(replace(arm(index), curves=each) for index, each in enumerate(curves)))
    return [max(len(curve) for curve in each.curves.values()) for each in known.arms]


def test_teacher_accuracy_trains_the_most_accurate_teacher_only() -> None:
    known = job(*(arm(index, score=0.7 + 0.01 * index) for index in range(4)))
    steps = POLICIES["teacher_accuracy"].next(known, Limits()).steps
    assert set(steps) == {Step(teacher=name(3), seed=seed, rung=3) for seed in known.seeds}


class TestAdaptive:
    def test_it_looks_at_everybody_then_carries_on_whoever_may_be_the_best(self) -> None:
        table = world(np.random.default_rng(3), np.array([0.70, 0.805, 0.80, 0.3]))
        first = POLICIES["adaptive"].next(reveal(table, {(1, 0): 1}), Limits(chance=0.9))
        assert [step.teacher for step in first.steps] == [name(0), name(2), name(3)]
        known = reveal(table, {(index, 0): 1 + (index == 1) for index in range(4)})
        found = POLICIES["adaptive"].next(known, Limits(chance=0.9))
        assert found.reason.kind == "contenders"
        assert found.steps[0] == Step(teacher=name(2), seed=0, rung=1), "the least advanced contender first"
        assert name(3) not in {step.teacher for step in found.steps}

    def test_a_further_seed_goes_to_half_of_the_training_at_once(self) -> None:
        known = job(taught("a", 0.80, {0: 4}), taught("b", 0.80, {0: 4}))
        steps = POLICIES["adaptive"].next(known, Limits(chance=0.999, margin=0.0)).steps
        assert {(step.seed, step.rung) for step in steps} == {(1, 2)}

    def test_it_has_enough_when_the_answer_is_sure_or_matters_too_little(self) -> None:
        sure = world(np.random.default_rng(3), np.array([0.7, 0.9, 0.6, 0.5]))
        known, spent, proposals = play(POLICIES["adaptive"], sure, Limits(chance=0.9))
        view = summarise(known)
        assert view is not None
        assert view.lead == name(1)
        assert spent < 3
        assert proposals[-1].reason.kind in ("sure", "near_enough")
        _, wide, _ = play(POLICIES["adaptive"], sure, Limits(chance=0.9, margin=0.5))
        assert wide == pytest.approx(4 * RUNGS[0])


class TestExpectedRegret:
    def test_it_pays_for_nothing_that_promises_nothing(self, table: Accuracies) -> None:
        known = reveal(table + np.array([0.3, 0, 0, 0])[:, None, None], {(index, 0): 4 for index in range(4)})
        found = POLICIES["adaptive"].next(known, Limits(cost=12.0))
        assert (found.steps, found.reason.kind) == ((), "nothing_changes")

    def test_an_expected_loss_within_the_margin_ends_it(self, table: Accuracies) -> None:
        known = reveal(table, {(index, 0): 1 for index in range(4)})
        view = summarise(known)
        assert view is not None
        for part, more in ((0.9, True), (1.1, False)):
            limits = Limits(cost=12.0, chance=0.999, margin=part * view.regret)
            assert bool(POLICIES["adaptive"].next(known, limits).steps) == more

    def test_it_looks_at_every_arm_once_before_it_stops(self, table: Accuracies) -> None:
        known = reveal(table + np.array([0.2, 0, 0, 0])[:, None, None], {(0, 1): 4, (0, 2): 4, (1, 1): 2, (2, 1): 1})
        found = POLICIES["adaptive"].next(known, Limits(cost=12.0, chance=0.5, margin=0.1))
        assert found.steps == (Step(teacher=name(3), seed=1, rung=0),)

    def test_a_teacher_that_is_cheap_to_train_with_may_be_tried_before_a_likelier_one(self) -> None:
        costs = {0: 8.0, 1: 8.0, 2: 1.0, 3: 1.0}
        known = job(*(
            replace(arm(index, score=0.8 - 0.001 * (index > 1)), paces={0: cost}) for index, cost in costs.items()
        ))  # fmt: skip
        steps = POLICIES["adaptive"].next(replace(known, exact_costs=True), Limits(cost=1.0)).steps
        assert {step.teacher for step in steps} == {name(2), name(3)}

    def test_of_many_a_few_sets_are_looked_at(self, monkeypatch: pytest.MonkeyPatch) -> None:
        looked_at = []

        def counted(_model: Model, steps: tuple[Step, ...]) -> float:
            looked_at.append(steps)
            return 1.0

        monkeypatch.setattr(expected_regret, "worth", counted)
        rungs = tuple((index + 1) / 16 for index in range(16))
        arms = tuple(
            replace(arm(index, dict.fromkeys(range(15), (0.5,))), paces={0: 1.0 + index % 3}) for index in range(32)
        )
        known = JobResults(arms=arms, rungs=rungs, seeds=tuple(range(20)))
        assert POLICIES["adaptive"].next(known, Limits(cost=1e6)).steps
        assert {len(steps) for steps in looked_at} == {*range(1, 9), 16, 32}
        assert len(looked_at) <= 2 * 3 * 5 * 10
