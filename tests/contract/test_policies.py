"""What every policy promises, whatever it thinks of the results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from dpk_core.selection.decide.job_results import EIGHTHS, Knowledge, Step
from dpk_core.selection.decide.policies import posterior
from dpk_core.selection.decide.policies.policy import STOP_COST, STOP_RUNS, Limits, Plan, Policy, within
from dpk_core.selection.decide.policies.registry import POLICIES
from dpk_core.selection.decide.summary import outlook
from dpk_core.selection.posterior import Model
from tests.unit.selection.made_up import PRIOR, RUNGS, SEEDS, arm, job, name, play, reveal, world

Accuracies = NDArray[np.float64]

TRUTH = np.array([0.80, 0.83, 0.78, 0.81])
BUDGETS = (0.0, 0.1, 1.0, 2.7, 12.0)
policies = pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)


def stocked(known: Knowledge, *teachers: str) -> Knowledge:
    """The same where the store holds every training of these teachers, or of all."""
    arms = (
        replace(arm, stored=dict.fromkeys(SEEDS, RUNGS), begun=frozenset())
        if arm.teacher in teachers or not teachers
        else arm
        for arm in known.arms
    )
    return replace(known, arms=tuple(arms))


@pytest.fixture(scope="module")
def table() -> NDArray[np.float64]:
    return world(np.random.Generator(np.random.PCG64(2)), TRUTH)


def test_a_plan_that_does_not_fit_says_which_limit_it_is(table: Accuracies) -> None:
    known = reveal(table, {(0, 0): 1})
    steps = [Step(teacher=name(1), seed=0, rung=0)]
    assert within(known, steps, Limits(cost=0.01), "") == Plan(steps=(), reason=STOP_COST)
    assert within(known, steps, Limits(runs=1), "") == Plan(steps=(), reason=STOP_RUNS)


@policies
class TestEveryPolicy:
    @pytest.mark.parametrize("budget", BUDGETS)
    def test_it_never_exceeds_its_budget_and_ends(self, policy: Policy, table: Accuracies, budget: float) -> None:
        _, spent, plans = play(policy, table, Limits(cost=budget))
        assert spent <= budget
        assert plans[-1].reason

    def test_it_keeps_room_for_trainings_that_come_dearer(self, policy: Policy, table: Accuracies) -> None:
        known = reveal(table, {})
        for spread in (0.1, 0.5):
            unsure = replace(known, arms=tuple(replace(arm, cost_spread=spread) for arm in known.arms))
            dearer = 1 + 2 * spread
            for budget in (0.3, 1.0, 2.7):
                costs = [RUNGS[step.rung] for step in policy.next(unsure, Limits(cost=budget)).steps]
                assert sum(costs) + (dearer - 1) * max(costs, default=0.0) <= budget
            one = replace(unsure, arms=unsure.arms[:1])
            assert not policy.next(one, Limits(cost=0.99 * dearer * RUNGS[0])).steps

    def test_it_never_begins_more_trainings_than_it_may(self, policy: Policy, table: Accuracies) -> None:
        known, _, _ = play(policy, table, Limits(cost=12.0, runs=3))
        assert sum(len(arm.curves) for arm in known.arms) <= 3

    def test_trainings_that_failed_have_begun(self, policy: Policy, table: Accuracies) -> None:
        known = reveal(table, {})
        failed = {name(0): replace(known.arms[0], failed=True, begun=frozenset({0, 1}))}
        known = replace(known, arms=tuple(failed.get(arm.teacher or "", arm) for arm in known.arms))
        assert len({(step.teacher, step.seed) for step in policy.next(known, Limits(runs=3)).steps}) == 1
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
        for step in policy.next(known, Limits(cost=5.0)).steps:
            assert step.rung >= next(arm for arm in known.arms if arm.teacher == step.teacher).reached(step.seed)

    def test_the_order_of_the_arms_does_not_matter(self, policy: Policy, table: Accuracies) -> None:
        known = reveal(table, {(index, 0): 1 for index in range(4)})
        turned = replace(known, arms=known.arms[::-1])
        one, other = (set(policy.next(each, Limits(cost=5.0)).steps) for each in (known, turned))
        assert one == other

    def test_failed_arms_get_nothing(self, policy: Policy, table: Accuracies) -> None:
        known = reveal(table, {(index, 0): 1 for index in range(4)})
        failed = replace(known, arms=tuple(replace(arm, failed=arm.teacher == name(1)) for arm in known.arms))
        assert name(1) not in {step.teacher for step in policy.next(failed, Limits(cost=12.0)).steps}

    def test_without_arms_it_stops(self, policy: Policy) -> None:
        assert policy.next(job(), Limits()).steps == ()

    def test_the_same_knowledge_gives_the_same_plan(self, policy: Policy, table: Accuracies) -> None:
        known = reveal(table, {(index, 0): 1 for index in range(4)})
        assert policy.next(known, Limits(cost=5.0)) == policy.next(known, Limits(cost=5.0))

    def test_a_single_seed_and_a_single_rung_will_do(self, policy: Policy) -> None:
        arms = reveal(world(np.random.Generator(np.random.PCG64(3)), TRUTH), {}).arms
        short = PRIOR.at((1.0,))
        known = Knowledge(arms=arms, rungs=(1.0,), seeds=(0,), prior=short)
        assert all(step.rung == 0 for step in policy.next(known, Limits(cost=10.0)).steps)


def test_exhaustive_trains_everything(table: NDArray[np.float64]) -> None:
    known, spent, _ = play(POLICIES["exhaustive"], table, Limits())
    assert spent == pytest.approx(12.0)
    assert all(len(curve) == len(RUNGS) for arm in known.arms for curve in arm.curves.values())


def test_halving_halves(table: NDArray[np.float64]) -> None:
    known, _, _ = play(POLICIES["halving"], table, Limits())
    reached = sorted(max(len(curve) for curve in arm.curves.values()) for arm in known.arms)
    assert reached == [1, 1, 2, 4]


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
    arms = tuple(arm(index) for index in range(teachers))
    known = Knowledge(arms=arms, rungs=rungs, seeds=SEEDS, prior=PRIOR.at(rungs))
    while steps := POLICIES["halving"].next(known, Limits()).steps:
        ends = {(step.teacher, step.seed): step.rung + 1 for step in steps}
        curves = [
            {seed: (0.5 + 0.05 * index,) * ends.get((each.teacher, seed), each.reached(seed)) for seed in SEEDS}
            for index, each in enumerate(known.arms)
        ]
        known = replace(known, arms=tuple(arm(index, each) for index, each in enumerate(curves)))
    return [max(len(curve) for curve in each.curves.values()) for each in known.arms]


def test_teacher_accuracy_trains_the_most_accurate_teacher_only() -> None:
    known = reveal(world(np.random.Generator(np.random.PCG64(4)), TRUTH), {})
    arms = tuple(replace(arm, teacher_accuracy=0.7 + 0.01 * index) for index, arm in enumerate(known.arms))
    steps = POLICIES["teacher_accuracy"].next(replace(known, arms=arms), Limits()).steps
    assert set(steps) == {Step(teacher=name(3), seed=seed, rung=3) for seed in known.seeds}


class TestByPosterior:
    def test_it_stops_when_the_answer_is_sure(self) -> None:
        sure = world(np.random.Generator(np.random.PCG64(3)), np.array([0.7, 0.9, 0.6, 0.5]))
        known, spent, plans = play(POLICIES["posterior"], sure, Limits(chance=0.9))
        assert outlook(Model(known).posterior).choice == name(1)
        assert spent < 3
        assert "chance" in plans[-1].reason

    def test_it_looks_at_every_arm_once_before_it_stops(self, table: NDArray[np.float64]) -> None:
        # So much better than the rest that the unseen arm could be written off.
        known = reveal(table + np.array([0.2, 0, 0, 0])[:, None, None], {(0, 1): 4, (0, 2): 4, (1, 1): 2, (2, 1): 1})
        plan = POLICIES["posterior"].next(known, Limits(chance=0.5, margin=0.1))
        assert plan.steps == (Step(teacher=name(3), seed=1, rung=0),)
        near = world(np.random.Generator(np.random.PCG64(0)), TRUTH)
        close = reveal(near, {(0, 1): 4, (0, 2): 4, (1, 1): 2, (2, 1): 1})
        kept_short = POLICIES["posterior"].next(close, Limits(cost=5.0, runs=4)).steps
        assert kept_short
        assert all(step.teacher != name(3) for step in kept_short)

    def test_it_pays_for_nothing_that_promises_nothing(self, table: NDArray[np.float64]) -> None:
        known = reveal(table + np.array([0.3, 0, 0, 0])[:, None, None], {(index, 0): 4 for index in range(4)})
        plan = POLICIES["posterior"].next(known, Limits())
        assert (plan.steps, plan.reason) == ((), "No affordable training is expected to change the answer.")

    def test_what_earlier_jobs_showed_may_suffice(self, table: NDArray[np.float64]) -> None:
        known = reveal(table, {})
        follows = replace(PRIOR, slope=1.0, slope_spread=0.05, teacher_spread=0.002)
        arms = tuple(replace(arm, teacher_accuracy=0.7 + 0.02 * index) for index, arm in enumerate(known.arms))
        plan = POLICIES["posterior"].next(replace(known, arms=arms, prior=follows), Limits(chance=0.9))
        assert not plan.steps
        assert plan.reason.startswith("Earlier jobs suffice")
        assert POLICIES["posterior"].next(replace(known, arms=arms), Limits(chance=0.9)).steps

    def test_a_wide_margin_stops_it_early(self, table: NDArray[np.float64]) -> None:
        _, narrow, _ = play(POLICIES["posterior"], table, Limits(cost=12.0, chance=0.9, margin=0.001))
        _, wide, _ = play(POLICIES["posterior"], table, Limits(cost=12.0, chance=0.9, margin=0.05))
        assert wide < narrow

    def test_an_expected_loss_within_the_margin_ends_it(self, table: NDArray[np.float64]) -> None:
        known = reveal(table, {(index, seed): 2 for index in range(4) for seed in SEEDS})
        lost = outlook(Model(known).posterior).regret
        policy = POLICIES["posterior"]
        assert policy.next(known, Limits(chance=0.99, margin=0.9 * lost)).steps
        assert policy.next(known, Limits(chance=None, margin=1.1 * lost)).steps
        plan = policy.next(known, Limits(chance=0.99, margin=1.1 * lost))
        assert not plan.steps
        assert plan.reason.startswith(f"It matters too little to go on: {100 * lost:.2f} points are expected to be")

    def test_a_wide_margin_alone_is_no_answer_before_any_result(self, table: NDArray[np.float64]) -> None:
        plan = POLICIES["posterior"].next(reveal(table, {}), Limits(chance=0.9, margin=0.1))
        assert plan.steps

    def test_it_regrets_less_than_halving_at_the_same_cost(self) -> None:
        chance = np.random.Generator(np.random.PCG64(7))
        regret = {"posterior": 0.0, "halving": 0.0}
        for _ in range(40):
            teachers, slope = 0.8 + 0.05 * chance.normal(size=6), chance.normal(PRIOR.slope, PRIOR.slope_spread)
            truth = 0.8 + slope * (teachers - teachers.mean()) + PRIOR.teacher_spread * chance.normal(size=6)
            drawn = world(chance, truth, PRIOR, teachers, slope)
            for policy in regret:
                known, _, _ = play(POLICIES[policy], drawn, Limits(cost=2.7), teachers)
                choice = outlook(Model(known).posterior).choice
                assert choice is not None
                regret[policy] += float(truth.max() - truth[int(choice[-1])])
        assert regret["posterior"] < regret["halving"]

    def test_a_teacher_that_is_cheap_to_train_with_may_be_tried_before_a_likelier_one(self) -> None:
        # The likeliest two cost too much; the two after them can be told apart for what there is.
        costs = {0: 8.0, 1: 8.0, 2: 1.0, 3: 1.0}
        arms = tuple(
            replace(arm(index, accuracy=0.8 - 0.001 * (index > 1)), cost=cost) for index, cost in costs.items()
        )
        steps = POLICIES["posterior"].next(job(*arms), Limits(cost=2.0)).steps
        assert {step.teacher for step in steps} == {name(2), name(3)}

    def test_of_few_arms_every_set_is_looked_at(self, monkeypatch: pytest.MonkeyPatch) -> None:
        chance = np.random.Generator(np.random.PCG64(12))
        jobs = [_some_job(chance) for _ in range(60)]
        plans = [POLICIES["posterior"].next(each, Limits()) for each in jobs]
        for limit in ("EVERY_COUNT", "MOST_SEEDS"):
            monkeypatch.setattr(posterior, limit, 1000)
        assert [POLICIES["posterior"].next(each, Limits()) for each in jobs] == plans
        assert len({len(plan.steps) for plan in plans}) > 2

    def test_of_many_a_few_sets_are(self, monkeypatch: pytest.MonkeyPatch) -> None:
        looked_at = []

        def counted(_model: Model, steps: Sequence[Step]) -> float:
            looked_at.append(steps)
            return 1.0

        monkeypatch.setattr(posterior, "worth", counted)
        rungs = tuple((index + 1) / 16 for index in range(16))
        arms = tuple(replace(arm(index, dict.fromkeys(range(15), (0.5,))), cost=1.0 + index % 3) for index in range(32))
        known = Knowledge(arms=arms, rungs=rungs, seeds=tuple(range(20)), prior=PRIOR.at(rungs))
        assert POLICIES["posterior"].next(known, Limits()).steps
        assert {len(steps) for steps in looked_at} == {*range(1, 9), 16, 32}
        assert 6 * 16 * 10 < len(looked_at) <= 2 * 6 * 16 * 10


def _some_job(chance: np.random.Generator) -> Knowledge:
    """Up to 8 teachers, 4 rungs and 5 seeds, all teachers seen once and some further."""
    arms, rungs, seeds = (int(chance.integers(*bounds)) for bounds in ((4, 9), (2, 5), (3, 6)))
    fractions = RUNGS[-rungs:]
    level = 0.8 + PRIOR.teacher_spread * chance.normal(size=arms)
    curves: list[dict[int, tuple[float, ...]]] = []
    for index in range(arms):
        reached = [1 + int(chance.integers(rungs)), *chance.integers(0, rungs, size=seeds - 1).tolist()]
        values = level[index] - np.linspace(0.3, 0, rungs) + 0.01 * chance.normal(size=(seeds, rungs))
        curves.append({seed: tuple(values[seed, :count].tolist()) for seed, count in enumerate(reached) if count})
    known = tuple(arm(index, by_seed) for index, by_seed in enumerate(curves))
    return Knowledge(arms=known, rungs=fractions, seeds=tuple(range(seeds)), prior=PRIOR.at(fractions))
