"""Everything: every candidate on every seed to the end. What the others are measured against."""

from __future__ import annotations

from typing import ClassVar

from dpk_core.selection.decide.job_results import JobResults, Step, free_steps
from dpk_core.selection.decide.policies.policy import NOBODY, Limits, Proposal, Reason, TrainingId, within


class Exhaustive:
    """Trains all candidates' students fully, one seed after the other."""

    name: ClassVar[str] = "exhaustive"

    def next(self, results: JobResults, limits: Limits, busy: frozenset[TrainingId] = NOBODY) -> Proposal:
        """What costs nothing, then the first seed that is not finished, for all candidates."""
        if busy:
            return Proposal(reason=Reason(kind="whole_seed"))
        if free := free_steps(results):
            return Proposal(steps=free, reason=Reason(kind="free"), together=True)
        for seed in results.seeds:
            steps = [
                Step(teacher=arm.teacher, seed=seed, rung=results.last)
                for arm in results.candidates
                if arm.reached(seed) <= results.last
            ]
            if steps:
                return within(results, steps, limits, Reason(kind="whole_seed", seed=seed))
        return within(results, [], limits, Reason(kind="everything_done"))
