"""What the paper suggests: take the most accurate teacher, and train with it alone."""

from __future__ import annotations

from typing import ClassVar

from dpk_core.selection.decide.job_results import JobResults, Step
from dpk_core.selection.decide.policies.policy import (
    NOBODY,
    Limits,
    Proposal,
    Reason,
    TrainingId,
    by_name,
    enough,
    within,
)


class TeacherAccuracy:
    """Trains the student of the most accurate teacher on every seed, and nothing else."""

    name: ClassVar[str] = "teacher_accuracy"

    def next(self, results: JobResults, limits: Limits, busy: frozenset[TrainingId] = NOBODY) -> Proposal:
        """The full trainings of the most accurate teacher; of equals, the first by name."""
        if busy:
            return Proposal(reason=Reason(kind="most_accurate"))
        known = [arm for arm in results.candidates if arm.teacher_score is not None]
        if not known:
            return enough(Reason(kind="no_teacher_score"))
        best = min(known, key=lambda arm: (-(arm.teacher_score or 0.0), by_name(arm)))
        steps = [Step(teacher=best.teacher, seed=seed, rung=results.last) for seed in results.seeds]
        return within(results, steps, limits, Reason(kind="most_accurate", teacher=best.teacher))
