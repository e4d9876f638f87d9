"""Spending where it most lowers the expected regret: a knowledge gradient over sets of arms.

One result of one arm tells nothing by itself (what a rung misses is unknown, and a seed moves all arms alike), so what
is weighed are sets: the k likeliest arms, or the k with the most chance for their cost, carried to one rung on one
seed. Frazier, Powell & Dayanik 2009 give the criterion for single, correlated measurements; here it is a set's, divided
by what the set costs. With few results that comes out as successive halving; with clear ones it stops paying for arms
that cannot win any more. It does not stop before every arm was looked at, unless what earlier jobs showed is sure
enough by itself. What costs nothing comes before everything.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from dpk_core.selection.decide.job_results import Knowledge, Step, free_steps, step_cost
from dpk_core.selection.decide.policies.policy import FREE, STOP_DONE, Limits, Plan, affordable, within
from dpk_core.selection.decide.summary import Outlook, outlook, worth
from dpk_core.selection.posterior import Model
from dpk_core.selection.statistics import in_words

LEAST_WORTH = 1e-5
"""A thousandth of a point: what promises less is not worth training for, and may be no more than rounding."""
EVERY_COUNT = 8
"""Up to so many arms every count of them is looked at, beyond it the powers of two and all of them."""
LEAST_CHANCE = 0.01
"""Of being best that an arm counts as having when chances are weighed against costs: fewer are not told apart."""
MOST_SEEDS = 6
"""Seeds looked at, the next one that nothing was begun on among them."""


class ByPosterior:
    """Takes the set of steps that lowers the expected regret most per second."""

    name: ClassVar[str] = "posterior"

    def next(self, knowledge: Knowledge, limits: Limits) -> Plan:
        """The best set within the limits; stops when the answer is sure enough or no set is worth anything."""
        if not knowledge.ranked:
            return Plan(steps=(), reason="Every arm has failed.")
        if free := free_steps(knowledge):
            return Plan(steps=free, reason=FREE)
        model = Model(knowledge)
        view = outlook(model.posterior)
        unseen = {arm.teacher for arm in knowledge.ranked if not any(arm.curves.values())}
        by_prior = len(unseen) == len(knowledge.ranked) > 1
        # Without a result an expected loss says how much teachers are believed to differ, and nothing of these.
        sure = _sure(view, replace(limits, margin=0.0) if by_prior else limits)
        if sure is not None and by_prior:
            return Plan(steps=(), reason=f"Earlier jobs suffice. {sure}")
        if sure is not None or len(knowledge.ranked) == 1:
            return _after_a_look(knowledge, view, limits, unseen, sure or STOP_DONE)
        best: tuple[float, tuple[Step, ...]] = (0.0, ())
        wanted = False
        for steps in _sets(knowledge, _orders(knowledge, view)):
            wanted = True
            if affordable(knowledge, steps, limits) != steps:
                continue
            gain = worth(model, steps)
            rate = gain / sum(step_cost(knowledge, step) for step in steps)
            if gain > LEAST_WORTH and rate > best[0] * (1 + 1e-9):
                best = (rate, steps)
        if not best[1]:
            reason = "No affordable training is expected to change the answer." if wanted else STOP_DONE
            return _after_a_look(knowledge, view, limits, unseen, reason)
        return within(knowledge, best[1], limits, "It lowers the expected regret most for its cost.")


def _after_a_look(
    knowledge: Knowledge, view: Outlook, limits: Limits, unseen: set[str | None], reason: str
) -> Plan:  # fmt: skip
    """Stops, but not before every arm was looked at: none is judged by the others' results alone."""
    seed = _first_seed(knowledge)
    look = tuple(Step(teacher=teacher, seed=seed, rung=0) for teacher in view.chances if teacher in unseen)
    if steps := affordable(knowledge, look, limits):
        return Plan(steps=steps, reason="A look at who was not trained yet, before it stops.")
    return Plan(steps=(), reason=reason)


def _sure(view: Outlook, limits: Limits) -> str | None:
    """Why the choice is sure enough, in words; None where it is not, or where no chance was asked for."""
    if limits.chance is None:
        return None
    if view.chances[view.choice] >= limits.chance:
        return f"The choice is best with a chance of {in_words(view.chances[view.choice])}."
    if view.regret <= limits.margin:
        lost, margin = 100 * view.regret, 100 * limits.margin
        return (
            f"It matters too little to go on: {lost:.2f} points are expected to be lost, up to {margin:g} do not count."
        )
    return None


def _first_seed(knowledge: Knowledge) -> int:
    """The seed on which most arms have results already, so that the new ones are paired with them."""
    return max(knowledge.seeds, key=lambda seed: sum(arm.reached(seed) > 0 for arm in knowledge.ranked))


def _orders(knowledge: Knowledge, view: Outlook) -> tuple[tuple[str | None, ...], ...]:
    """The arms, likeliest first, and with the most chance for its cost first."""
    likeliest = tuple(view.chances)
    cost = {arm.teacher: arm.cost for arm in knowledge.ranked}
    cheapest = sorted(likeliest, key=lambda teacher: -max(view.chances[teacher], LEAST_CHANCE) / cost[teacher])
    return tuple(dict.fromkeys((likeliest, tuple(cheapest))))


def _sets(knowledge: Knowledge, orders: tuple[tuple[str | None, ...], ...]) -> Iterator[tuple[Step, ...]]:
    """The first one, two, three, … arms of each order, each to every rung of the seeds begun and of the next one.

    With many arms or seeds some are left out, so that a decision takes a bounded time.
    """
    last = len(knowledge.rungs) - 1
    begun = [seed for seed in knowledge.seeds if any(arm.reached(seed) for arm in knowledge.ranked)]
    unfinished = [seed for seed in begun if any(arm.reached(seed) <= last for arm in knowledge.ranked)]
    fresh = [seed for seed in knowledge.seeds if seed not in begun][:1]
    reached = {(arm.teacher, seed): arm.reached(seed) for arm in knowledge.ranked for seed in knowledge.seeds}
    seen = set()
    for seed in (*unfinished[: MOST_SEEDS - 1], *fresh):
        for rung, order in itertools.product(range(last + 1), orders):
            for count in _counts(len(order)):
                steps = tuple(
                    Step(teacher=teacher, seed=seed, rung=rung)
                    for teacher in order[:count]
                    if reached[teacher, seed] <= rung
                )
                if steps and frozenset(steps) not in seen:
                    seen.add(frozenset(steps))
                    yield steps


def _counts(arms: int) -> list[int]:
    powers = [2**power for power in range(arms.bit_length()) if EVERY_COUNT < 2**power < arms]
    return [*range(1, min(arms, EVERY_COUNT) + 1), *powers, *([arms] if arms > EVERY_COUNT else [])]
