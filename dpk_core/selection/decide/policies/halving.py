"""Synchronous successive halving with replicate seeds (Jamieson & Talwalkar 2016, for a handful of arms)."""

from __future__ import annotations

import math
from typing import ClassVar

from dpk_core.selection.decide.job_results import Arm, Knowledge, Step
from dpk_core.selection.decide.policies.policy import Limits, Plan, by_name, within
from dpk_core.selection.statistics import mean


class Halving:
    """With about every doubling of the training all surviving arms train on every seed, and the better half goes on.
    Ties go by name."""

    name: ClassVar[str] = "halving"

    def next(self, knowledge: Knowledge, limits: Limits) -> Plan:
        """The survivors' steps to the first rung that some of them have not reached."""
        surviving = knowledge.ranked
        for rung in _doublings(knowledge.rungs):
            missing = [
                Step(teacher=arm.teacher, seed=seed, rung=rung)
                for seed in knowledge.seeds
                for arm in surviving
                if arm.reached(seed) <= rung
            ]
            if missing:
                reason = f"{len(surviving)} of {len(knowledge.ranked)} arms train up to rung {rung + 1}."
                return within(knowledge, missing, limits, reason)
            order = sorted(surviving, key=lambda arm: (-_at(arm, rung, knowledge.seeds), by_name(arm)))
            surviving = tuple(order[: max(1, math.ceil(len(order) / 2))])
        return within(knowledge, [], limits, "")


def _doublings(rungs: tuple[float, ...]) -> list[int]:
    """The last rung, and before each the one that is nearest to half of it."""
    found = [len(rungs) - 1]
    while found[-1] > 0:
        half = rungs[found[-1]] / 2
        found.append(min(range(found[-1]), key=lambda rung: abs(rungs[rung] - half)))
    return found[::-1]


def _at(arm: Arm, rung: int, seeds: tuple[int, ...]) -> float:
    return mean({seed: arm.curves[seed][rung] for seed in seeds})
