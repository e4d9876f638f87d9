"""The default: look at every teacher, then carry on whoever may be the best, the least advanced first.

Where a budget is set, which may not suffice for that, it is spent where it most lowers the expected regret
(`expected_regret`).
"""

from __future__ import annotations

from typing import ClassVar

from dpk_core.selection.decide.job_results import Arm, JobResults, Step
from dpk_core.selection.decide.policies import expected_regret
from dpk_core.selection.decide.policies.policy import NOBODY, Limits, Proposal, Reason, TrainingId, doublings, enough
from dpk_core.selection.decide.summary import summarise


class Adaptive:
    """Contenders are the 90 % set; each goes on by doublings of its first training, then on further seeds."""

    name: ClassVar[str] = "adaptive"

    def next(self, results: JobResults, limits: Limits, busy: frozenset[TrainingId] = NOBODY) -> Proposal:
        """A first look at everybody; then the contenders' next steps, the least advanced first."""
        if not results.candidates:
            return enough(Reason(kind="all_failed"))
        if limits.is_budget:
            return (
                Proposal(reason=Reason(kind="expected_regret")) if busy else expected_regret.next_set(results, limits)
            )
        unseen = [arm for arm in results.candidates if not arm.is_tried]
        if unseen:
            first = results.seeds[0]
            looks = tuple(Step(teacher=arm.teacher, seed=first, rung=0) for arm in unseen)
            return Proposal(
                steps=tuple(step for step in looks if step.training not in busy), reason=Reason(kind="first_look")
            )  # fmt: skip
        view = summarise(results)
        assert view is not None
        if (reason := expected_regret.sure(view, limits)) is not None:
            return enough(reason)
        contenders = view.best_set if len(view.best_set) > 1 else tuple(view.chances)[:2]
        ahead = [(arm, step) for each in contenders if (step := _next_step(arm := results.arm(each), results))]
        if not ahead:
            return enough(Reason(kind="everything_done"))
        steps = [step for _, step in sorted(ahead, key=lambda pair: _advance(pair[0], results))]
        return Proposal(
            steps=tuple(step for step in steps if step.training not in busy),
            reason=Reason(kind="contenders", count=len(contenders), total=len(results.candidates)),
        )  # fmt: skip


def _next_step(arm: Arm, results: JobResults) -> Step | None:
    """Its first unfinished training to the next doubling; a further seed goes to half of the training at once."""
    rungs = doublings(results.rungs)
    for seed in results.seeds:
        reached = arm.reached(seed)
        if reached <= results.last:
            ahead = [rung for rung in rungs if rung >= reached]
            fresh = seed != results.seeds[0] and reached == 0
            return Step(teacher=arm.teacher, seed=seed, rung=rungs[-2] if fresh and len(rungs) > 1 else ahead[0])
    return None


def _advance(arm: Arm, results: JobResults) -> float:
    """How much of the student's trainings is behind it, in full trainings."""
    reached = [arm.reached(seed) for seed in results.seeds]
    return sum(results.rungs[count - 1] for count in reached if count)
