"""Spending a budget where it most lowers the expected regret: a knowledge gradient over sets of arms.

One result of one arm shows nothing by itself (what a rung misses is unknown, and a seed moves all arms alike), so what
is weighed are sets: the k likeliest arms, or the k with the most chance for their cost, carried to one rung on one
seed. Frazier, Powell & Dayanik 2009 give the criterion for single, correlated measurements; here it is a set's, divided
by what the set costs.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from dpk_core.selection.decide.job_results import JobResults, Step, free_steps, step_cost
from dpk_core.selection.decide.policies.policy import Limits, Proposal, Reason, affordable, doublings, enough, within
from dpk_core.selection.decide.summary import Summary, model, summary_of, worth

LEAST_WORTH = 1e-5
"""A thousandth of a point: what promises less is not worth training for, and may be no more than rounding."""
EVERY_COUNT = 8
"""Up to so many arms every count of them is looked at, beyond it the powers of two and all of them."""
LEAST_CHANCE = 0.01
"""Floor on the chance of being best when chances are weighed against costs: smaller values are Monte-Carlo noise."""
MOST_SEEDS = 3
"""Seeds looked at, the next one that nothing was begun on among them."""


def next_set(results: JobResults, limits: Limits) -> Proposal:
    """The best set within the limits; enough when the answer is sure, or no set is worth anything."""
    if free := free_steps(results):
        return Proposal(steps=free, reason=Reason(kind="free"), together=True)
    found = model(results)
    view = summary_of(found)
    unseen = [arm.teacher for arm in found.arms if not arm.is_tried]
    stop = sure(view, limits) if len(unseen) < len(found.arms) else None
    if stop is not None or len(found.arms) == 1:
        return _after_a_look(results, limits, unseen, stop or Reason(kind="everything_done"))
    best: tuple[float, tuple[Step, ...]] = (0.0, ())
    wanted = False
    for steps in _sets(results, _orders(results, view)):
        wanted = True
        if affordable(results, steps, limits) != steps:
            continue
        gain = worth(found, steps)
        rate = gain / sum(step_cost(results, step) for step in steps)
        if gain > LEAST_WORTH and rate > best[0] * (1 + 1e-9):
            best = (rate, steps)
    if not best[1]:
        reason = Reason(kind="nothing_changes" if wanted else "everything_done")
        return _after_a_look(results, limits, unseen, reason)
    return within(results, best[1], limits, Reason(kind="expected_regret"))


def sure(view: Summary, limits: Limits) -> Reason | None:
    """Why the lead is sure enough; None where it is not, or where no chance was asked for."""
    if limits.chance is None:
        return None
    if view.chances[view.lead] >= limits.chance:
        return Reason(kind="sure", chance=view.chances[view.lead], teacher=view.lead)
    if view.regret <= limits.margin:
        return Reason(kind="near_enough", regret=view.regret, margin=limits.margin, teacher=view.lead)
    return None


def _after_a_look(results: JobResults, limits: Limits, unseen: Sequence[str | None], reason: Reason) -> Proposal:
    """Stops, but not before every arm was looked at: none is judged by the others' results alone."""
    # The seed on which most arms have results already, so that the new ones are paired with them.
    seed = max(results.seeds, key=lambda seed: sum(arm.reached(seed) > 0 for arm in results.candidates))
    look = tuple(Step(teacher=teacher, seed=seed, rung=0) for teacher in unseen)
    if steps := affordable(results, look, limits):
        return Proposal(steps=steps, reason=Reason(kind="first_look"), together=True)
    return enough(reason)


def _orders(results: JobResults, view: Summary) -> tuple[tuple[str, ...], ...]:
    """The arms, likeliest first, and with the most chance for its cost first."""
    likeliest = tuple(view.chances)
    cheapest = sorted(
        likeliest, key=lambda teacher: -max(view.chances[teacher], LEAST_CHANCE) / results.cost(teacher)
    )  # fmt: skip
    return tuple(dict.fromkeys((likeliest, tuple(cheapest))))


def _sets(results: JobResults, orders: tuple[tuple[str, ...], ...]) -> Iterator[tuple[Step, ...]]:
    """The first one, two, three, … arms of each order, each to every rung of the seeds begun and of the next one.

    With many arms or seeds some are left out, so that a decision takes a bounded time.
    """
    begun = [seed for seed in results.seeds if any(arm.reached(seed) for arm in results.candidates)]
    unfinished = [seed for seed in begun if any(arm.reached(seed) <= results.last for arm in results.candidates)]
    fresh = [seed for seed in results.seeds if seed not in begun][:1]
    reached = {(arm.teacher, seed): arm.reached(seed) for arm in results.candidates for seed in results.seeds}
    seen = set()
    for seed in (*unfinished[: MOST_SEEDS - 1], *fresh):
        for rung, order in itertools.product(doublings(results.rungs), orders):
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
