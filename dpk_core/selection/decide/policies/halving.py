"""Synchronous successive halving with replicate seeds (Jamieson & Talwalkar 2016, for a handful of arms)."""

from __future__ import annotations

import math
from typing import ClassVar

from dpk_core.selection.decide.job_results import Arm, JobResults, Step
from dpk_core.selection.decide.policies.policy import (
    NOBODY,
    Limits,
    Proposal,
    Reason,
    TrainingId,
    by_name,
    doublings,
    within,
)
from dpk_core.selection.statistics import mean


class Halving:
    """With about every doubling of the training all surviving arms train on every seed, and the better half goes on.
    Ties go by name."""

    name: ClassVar[str] = "halving"

    def next(self, results: JobResults, limits: Limits, busy: frozenset[TrainingId] = NOBODY) -> Proposal:
        """The survivors' steps to the first rung that some of them have not reached."""
        if busy:
            return Proposal(reason=Reason(kind="survivors"))
        surviving = results.candidates
        for rung in doublings(results.rungs):
            missing = [
                Step(teacher=arm.teacher, seed=seed, rung=rung)
                for seed in results.seeds
                for arm in surviving
                if arm.reached(seed) <= rung
            ]
            if missing:
                reason = Reason(
                    kind="survivors", count=len(surviving), total=len(results.candidates), rung=rung
                )  # fmt: skip
                return within(results, missing, limits, reason)
            order = sorted(surviving, key=lambda arm: (-_at(arm, rung, results.seeds), by_name(arm)))
            surviving = tuple(order[: max(1, math.ceil(len(order) / 2))])
        return within(results, [], limits, Reason(kind="everything_done"))


def _at(arm: Arm, rung: int, seeds: tuple[int, ...]) -> float:
    return mean({seed: arm.curves[seed][rung] for seed in seeds})
