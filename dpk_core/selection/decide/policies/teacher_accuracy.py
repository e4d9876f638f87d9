"""What the paper suggests: take the most accurate teacher, and train with it alone."""

from __future__ import annotations

from typing import ClassVar

from dpk_core.selection.decide.job_results import Knowledge, Step
from dpk_core.selection.decide.policies.policy import Limits, Plan, by_name, within


class TeacherAccuracy:
    """Trains the student of the most accurate teacher on every seed, and nothing else."""

    name: ClassVar[str] = "teacher_accuracy"

    def next(self, knowledge: Knowledge, limits: Limits) -> Plan:
        """The full trainings of the most accurate teacher; of equals, the first by name."""
        known = [arm for arm in knowledge.ranked if arm.teacher_accuracy is not None]
        if not known:
            return Plan(steps=(), reason="No teacher's own accuracy is known.")
        best = min(known, key=lambda arm: (-(arm.teacher_accuracy or 0.0), by_name(arm)))
        last = len(knowledge.rungs) - 1
        steps = [Step(teacher=best.teacher, seed=seed, rung=last) for seed in knowledge.seeds]
        return within(knowledge, steps, limits, f"{best.teacher} is the most accurate teacher.")
