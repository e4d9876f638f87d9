"""Everything: every arm on every seed to the end. What the others are measured against."""

from __future__ import annotations

from typing import ClassVar

from dpk_core.selection.decide.job_results import Knowledge, Step, free_steps
from dpk_core.selection.decide.policies.policy import FREE, Limits, Plan, within


class Exhaustive:
    """Trains all arms fully, one seed after the other."""

    name: ClassVar[str] = "exhaustive"

    def next(self, knowledge: Knowledge, limits: Limits) -> Plan:
        """What costs nothing, then the first seed that is not finished, for all arms."""
        if free := free_steps(knowledge):
            return Plan(steps=free, reason=FREE)
        last = len(knowledge.rungs) - 1
        for seed in knowledge.seeds:
            steps = [
                Step(teacher=arm.teacher, seed=seed, rung=last) for arm in knowledge.ranked if arm.reached(seed) <= last
            ]
            if steps:
                return within(knowledge, steps, limits, f"Seed {seed} is trained fully for every arm.")
        return within(knowledge, [], limits, "")
