"""Jobs with a known truth, for tests of what decides."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dpk_core.selection.decide.job_results import Arm, Knowledge, Prior, step_cost
from dpk_core.selection.decide.policies.policy import Limits, Plan, Policy

RUNGS = (0.125, 0.25, 0.5, 1.0)
MISSING = (0.3, 0.2, 0.1, 0.0)
"""What the rungs miss of the full accuracy."""
PRIOR = Prior()
SEEDS = (0, 1, 2)


def name(index: int) -> str:
    return f"family/teacher{index}"


def arm(index: int, curves: Mapping[int, tuple[float, ...]] | None = None, accuracy: float | None = 0.8) -> Arm:
    return Arm(teacher=name(index), teacher_accuracy=accuracy, curves=curves or {})


def job(*arms: Arm, prior: Prior = PRIOR, seeds: tuple[int, ...] = SEEDS) -> Knowledge:
    return Knowledge(arms=arms, rungs=RUNGS, seeds=seeds, prior=prior)


def world(
    chance: np.random.Generator, truth: NDArray[np.float64], prior: Prior = PRIOR,
    teachers: NDArray[np.float64] | None = None, slope: float = 0.0,
) -> NDArray[np.float64]:  # fmt: skip
    """Validation accuracies (arms x seeds x rungs) drawn from the model that is believed in.

    `teachers`: their accuracies, which `truth` follows with `slope`.
    """
    arms, seeds, rungs = len(truth), len(SEEDS), len(RUNGS)
    x = np.zeros(arms) if teachers is None else teachers - teachers.mean()
    walk = (np.array(prior.follows) - 1) * slope * x[:, None]
    walk += x[:, None] * _walk(chance, prior.tilt, 1) + _walk(chance, prior.mismatch, arms)
    luck = chance.normal(size=(arms, seeds, rungs))
    for rung in range(1, rungs):
        luck[..., rung] = prior.persistence * luck[..., rung - 1] + np.sqrt(1 - prior.persistence**2) * luck[..., rung]
    common = prior.common_spread * chance.normal(size=(1, seeds, 1))
    level = truth[:, None, None] - np.array(MISSING) + walk[:, None, :]
    return np.asarray(level + common + luck * np.array(prior.seed_spread))


def _walk(chance: np.random.Generator, spreads: tuple[float, ...], count: int) -> NDArray[np.float64]:
    """Walks (count x rungs) that end at 0 and have these standard deviations."""
    walk = np.zeros((count, len(spreads)))
    for rung in reversed(range(len(spreads) - 1)):
        step = np.sqrt(spreads[rung] ** 2 - spreads[rung + 1] ** 2)
        walk[:, rung] = walk[:, rung + 1] + step * chance.normal(size=count)
    return walk


def reveal(
    table: NDArray[np.float64], reached: Mapping[tuple[int, int], int], teachers: NDArray[np.float64] | None = None
) -> Knowledge:
    """What is known of the table when trainings reached so many rungs."""
    accuracies = np.full(len(table), 0.8) if teachers is None else teachers
    arms = (
        arm(
            i,
            {seed: tuple(table[i, seed, :count].tolist()) for (j, seed), count in reached.items() if j == i},
            float(accuracies[i]),
        )
        for i in range(len(table))
    )
    return job(*arms)


def play(
    policy: Policy, table: NDArray[np.float64], limits: Limits, teachers: NDArray[np.float64] | None = None
) -> tuple[Knowledge, float, list[Plan]]:
    """Follows a policy to its end: what is known then, what it cost, and its plans."""
    reached: dict[tuple[int, int], int] = {}
    spent, plans = 0.0, list[Plan]()
    while True:
        known = reveal(table, reached, teachers)
        left = None if limits.cost is None else limits.cost - spent
        plan = policy.next(known, Limits(cost=left, runs=limits.runs, chance=limits.chance, margin=limits.margin))
        plans.append(plan)
        if not plan.steps:
            return known, spent, plans
        spent += sum(step_cost(known, step) for step in plan.steps)
        for step in plan.steps:
            assert step.teacher is not None
            reached[int(step.teacher[-1]), step.seed] = step.rung + 1
