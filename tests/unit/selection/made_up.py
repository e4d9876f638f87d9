"""Jobs with a known truth, for tests of what decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dpk_core.selection.decide.job_results import Arm, JobResults, step_cost
from dpk_core.selection.decide.policies.policy import Limits, Policy, Proposal

RUNGS = (0.125, 0.25, 0.5, 1.0)
MISSING = (0.3, 0.2, 0.1, 0.0)
"""What the rungs miss of the full accuracy."""
SEEDS = (0, 1, 2)
PICTURES = 800
EASE = np.random.default_rng(7).permutation(PICTURES)
"""Pictures from easy to hard, the same for every network, so that differences have little luck in them."""


def name(index: int) -> str:
    return f"family/teacher{index}"


def right(accuracy: float) -> NDArray[np.bool_]:
    """Which pictures a network of this accuracy tells right."""
    return np.asarray(round(accuracy * PICTURES) > EASE)


def taught(
    teacher: str | None, level: float, rungs: int | Mapping[int, int] = 4, *, salt: int = 0, score: float = 0.9,
    noise: float = 0.002,
) -> Arm:  # fmt: skip
    """An arm around a full accuracy, with the rungs reached on all seeds or by seed."""
    reached = dict.fromkeys(SEEDS, rungs) if isinstance(rungs, int) else rungs
    chance = np.random.default_rng(salt)
    luck = {seed: chance.normal(0, noise) for seed in SEEDS}
    curves = {seed: tuple((level - np.array(MISSING) + luck[seed])[:count].tolist()) for seed, count in reached.items()}
    return Arm(
        teacher=teacher, teacher_score=None if teacher is None else score, curves=curves,
        evidence={seed: right(curve[-1]) for seed, curve in curves.items() if len(curve) == len(RUNGS)},
    )  # fmt: skip


def arm(index: int, curves: Mapping[int, tuple[float, ...]] | None = None, score: float | None = 0.8) -> Arm:
    found = curves or {}
    evidence = {seed: right(curve[-1]) for seed, curve in found.items() if len(curve) == len(RUNGS)}
    return Arm(teacher=name(index), teacher_score=score, curves=found, evidence=evidence)


def job(*arms: Arm, seeds: tuple[int, ...] = SEEDS) -> JobResults:
    return JobResults(arms=arms, rungs=RUNGS, seeds=seeds, sampling_variance=0.8 * 0.2 / PICTURES)


def world(
    chance: np.random.Generator, truth: NDArray[np.float64], noise: tuple[float, ...] = (0.012, 0.01, 0.006, 0.005)
) -> NDArray[np.float64]:
    """Validation accuracies (arms x seeds x rungs)."""
    luck = chance.normal(size=(len(truth), len(SEEDS), len(RUNGS))) * np.array(noise)
    common = 0.004 * chance.normal(size=(1, len(SEEDS), 1))
    return np.asarray(truth[:, None, None] - np.array(MISSING) + common + luck)


def reveal(table: NDArray[np.float64], reached: Mapping[tuple[int, int], int]) -> JobResults:
    """What is known of the table when trainings reached so many rungs."""
    return job(*(
        arm(i, {seed: tuple(table[i, seed, :count].tolist()) for (j, seed), count in reached.items() if j == i})
        for i in range(len(table))
    ))  # fmt: skip


def play(policy: Policy, table: NDArray[np.float64], limits: Limits) -> tuple[JobResults, float, list[Proposal]]:
    """Follows a policy to its end: what is known then, what it cost, and its proposals."""
    reached: dict[tuple[int, int], int] = {}
    spent, proposals = 0.0, list[Proposal]()
    while True:
        known = reveal(table, reached)
        left = None if limits.cost is None else limits.cost - spent
        proposals.append(policy.next(known, replace(limits, cost=left)))
        steps = proposals[-1].steps
        if not steps:
            return known, spent, proposals
        for step in steps if proposals[-1].together else steps[:1]:
            assert step.teacher is not None
            spent += step_cost(known, step)
            reached[int(step.teacher[-1]), step.seed] = step.rung + 1
