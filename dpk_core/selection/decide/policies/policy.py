"""What a policy is: what is known in, the next steps or "enough" out. No clock, no chance, no memory."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Protocol

from dpk_core.selection.decide.job_results import Arm, JobResults, Step, is_free, step_cost
from dpk_core.selection.decide.summary import PRACTICAL_MARGIN

ReasonKind = Literal[
    # Why these steps.
    "free", "first_look", "contenders", "expected_regret", "survivors", "whole_seed", "most_accurate",
    "pilot", "lead_and_no_teacher", "rivals", "next_seed", "replacement",
    # Why no more of them.
    "sure", "near_enough", "nothing_changes", "everything_done", "no_cost_left", "no_runs_left", "all_failed",
    "no_teacher_score", "nothing_timed", "time_over",
    # Why exploring begins again: a person asked for it.
    "teacher_added", "retried",
]  # fmt: skip
TrainingId = tuple[str | None, int]
NOBODY: frozenset[TrainingId] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a decision was made. Of the other fields those are given that its kind speaks of: a `chance`, an expected
    `regret` beside the `margin`, `count` arms of `total`, a `rung` (0-based), a `seed`, a `teacher`.
    `short`: what is left of a limit does not suffice for the likeliest teacher and the student without one."""

    kind: ReasonKind
    chance: float | None = None
    regret: float | None = None
    margin: float | None = None
    count: int | None = None
    total: int | None = None
    rung: int | None = None
    seed: int | None = None
    teacher: str | None = None
    short: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When to stop. `cost`: device seconds still to be spent; `runs`: trainings that may be begun in all; `chance`: of
    the lead being best that is enough; where there is one, so is an expected regret of at most `margin`. None: no
    limit."""

    cost: float | None = None
    runs: int | None = None
    chance: float | None = None
    margin: float = PRACTICAL_MARGIN

    @property
    def is_budget(self) -> bool:
        """Whether it may have to end before everything is trained that should be."""
        return self.cost is not None or self.runs is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Steps, the most urgent first. `together`: all are begun at once, however few slots there are; otherwise as many
    as slots are free. `enough`: exploring is over."""

    steps: tuple[Step, ...] = ()
    reason: Reason
    together: bool = False
    enough: bool = False


def enough(reason: Reason) -> Proposal:
    """The proposal to stop exploring."""
    return Proposal(reason=reason, enough=True)


class Policy(Protocol):
    """Decides who trains next."""

    name: ClassVar[str]

    def next(self, results: JobResults, limits: Limits, busy: frozenset[TrainingId] = NOBODY) -> Proposal:
        """The next steps of trainings that are not `busy`; each goes beyond what its training has reached. Together
        they keep within the limits. Without steps it waits for what is busy, or says that it has enough."""


RESERVE = 2.0
"""Standard deviations of the cost that are kept back: a limit is a promise, an expected cost is not."""


def affordable(results: JobResults, steps: Sequence[Step], limits: Limits) -> tuple[Step, ...]:
    """Those of `steps` that cost nothing, and of the others the longest beginning that keeps within the limits of cost,
    also where trainings cost more than expected, and of trainings begun."""
    begun = {(arm.teacher, seed) for arm in results.arms for seed in arm.begun_seeds}
    kept = {step for step in steps if is_free(results, step)}
    prices = dict[str | None, float]()
    for step in steps:
        if step in kept:
            continue
        prices[step.teacher] = prices.get(step.teacher, 0.0) + step_cost(results, step)
        if limits.cost is not None and _at_most(results, prices) > limits.cost:
            break
        if limits.runs is not None and len(begun | {step.training}) > limits.runs:
            break
        begun.add(step.training)
        kept.add(step)
    return tuple(step for step in steps if step in kept)


def _at_most(results: JobResults, prices: Mapping[str | None, float]) -> float:
    """What trainings of these expected prices may cost. Errors are fully correlated within an arm, independent between
    arms."""
    spreads = [price * results.cost_sd(teacher) for teacher, price in prices.items()]
    return sum(prices.values()) + RESERVE * math.hypot(*spreads)


def within(results: JobResults, steps: Sequence[Step], limits: Limits, reason: Reason) -> Proposal:
    """The proposal to take `steps` together as far as the limits let it; stopping says which limit it was."""
    wanted = tuple(step for step in steps if step.rung >= results.arm(step.teacher).reached(step.seed))
    if not wanted:
        return enough(Reason(kind="everything_done"))
    kept = affordable(results, wanted, limits)
    if kept:
        return Proposal(steps=kept, reason=reason, together=True)
    spent = bool(affordable(results, wanted, replace(limits, cost=None)))
    return enough(Reason(kind="no_cost_left" if spent else "no_runs_left"))


def doublings(rungs: tuple[float, ...]) -> list[int]:
    """The last rung, and before each the one that is nearest to half of it; rising."""
    found = [len(rungs) - 1]
    while found[-1] > 0:
        half = rungs[found[-1]] / 2
        found.append(min(range(found[-1]), key=lambda rung: abs(rungs[rung] - half)))
    return found[::-1]


def by_name(arm: Arm) -> str:
    """The order of arms among equals."""
    return arm.teacher or ""
