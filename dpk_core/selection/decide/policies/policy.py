"""What a policy is: what is known in, the next steps or "stop" out. No clock, no chance, no memory."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

from dpk_core.selection.decide.job_results import Arm, Knowledge, Step, is_free, step_cost
from dpk_core.selection.decide.summary import PRACTICAL_MARGIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When to stop. `cost`: seconds of training still to be spent; `runs`: trainings that may be begun in all;
    `chance`: of the choice being best that is enough; where there is one, so is an expected loss of at most `margin`.
    None: no limit.
    """

    cost: float | None = None
    runs: int | None = None
    chance: float | None = None
    margin: float = PRACTICAL_MARGIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Steps that may run side by side, or none: stop. `reason`: why, in words, for people."""

    steps: tuple[Step, ...]
    reason: str


class Policy(Protocol):
    """Decides who trains next."""

    name: ClassVar[str]

    def next(self, knowledge: Knowledge, limits: Limits) -> Plan:
        """The next steps; each goes beyond what its training has reached. Together they keep within the limits."""


RESERVE = 2.0
"""Standard deviations of the cost that are kept back: a limit is a promise, an expected cost is not."""
FREE = "What the store holds already costs nothing."
STOP_COST = "What is left of the training time that was set may not suffice for the next training."
STOP_RUNS = "The number of trainings that was set is reached."
STOP_DONE = "Every training that the policy asks for is finished."


def affordable(knowledge: Knowledge, steps: Sequence[Step], limits: Limits) -> tuple[Step, ...]:
    """Those of `steps` that cost nothing, and of the others the longest beginning that keeps within the limits of cost,
    also where trainings come dearer than expected, and of trainings begun."""
    begun = {(arm.teacher, seed) for arm in knowledge.arms for seed in arm.begun_seeds}
    kept = {step for step in steps if is_free(knowledge, step)}
    prices = dict[str | None, float]()
    for step in steps:
        if step in kept:
            continue
        prices[step.teacher] = prices.get(step.teacher, 0.0) + step_cost(knowledge, step)
        if limits.cost is not None and _at_most(knowledge, prices) > limits.cost:
            break
        if limits.runs is not None and len(begun | {(step.teacher, step.seed)}) > limits.runs:
            break
        begun.add((step.teacher, step.seed))
        kept.add(step)
    return tuple(step for step in steps if step in kept)


def _at_most(knowledge: Knowledge, prices: Mapping[str | None, float]) -> float:
    """What trainings of these expected prices, by teacher, may come to: an arm's are all dearer, or all cheaper."""
    spreads = [price * knowledge.arm(teacher).cost_spread for teacher, price in prices.items()]
    return sum(prices.values()) + RESERVE * math.hypot(*spreads)


def within(knowledge: Knowledge, steps: Sequence[Step], limits: Limits, reason: str) -> Plan:
    """The plan to take `steps` as far as the limits let it; stopping says which limit it was."""
    wanted = tuple(step for step in steps if step.rung >= knowledge.arm(step.teacher).reached(step.seed))
    if not wanted:
        return Plan(steps=(), reason=STOP_DONE)
    kept = affordable(knowledge, wanted, limits)
    if kept:
        return Plan(steps=kept, reason=reason)
    spent = bool(affordable(knowledge, wanted, replace(limits, cost=None)))
    return Plan(steps=(), reason=STOP_COST if spent else STOP_RUNS)


def by_name(arm: Arm) -> str:
    """The order of arms among equals: the arm without a teacher first, then by name."""
    return arm.teacher or ""
