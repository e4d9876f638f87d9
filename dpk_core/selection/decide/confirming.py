"""Which full trainings are still to be made before a verdict: those of the likeliest teachers and of no teacher."""

from __future__ import annotations

from collections.abc import Sequence

from dpk_core.selection.decide.full_trainings import FullTrainings
from dpk_core.selection.decide.job_results import LEAST_SEEDS, JobResults, Step
from dpk_core.selection.decide.policies.policy import doublings
from dpk_core.selection.decide.summary import Summary

RIVAL_CHANCE = 0.05
"""Chance of being best from which on a further teacher is confirmed beside the lead."""


def pair_steps(
    results: JobResults, lead: str, full: FullTrainings | None, margin: float, *, ahead: int = 0
) -> tuple[Step, ...]:
    """The full trainings of `lead` and of no teacher that are missing, seed by seed, up to the next seed without which
    the verdict category could still change, and `ahead` seeds more. `full`: what full trainings show until now."""
    needed = _seeds_needed(results, lead, full, margin)
    count = needed + ahead if needed else 0
    return tuple(step for step in missing_steps(results, (lead, None)) if step.seed in results.seeds[:count])


def missing_steps(results: JobResults, teachers: Sequence[str | None]) -> tuple[Step, ...]:
    """The full trainings under `teachers` that are missing, seed by seed."""
    able = {arm.teacher for arm in results.arms if not arm.failed}
    return tuple(
        Step(teacher=teacher, seed=seed, rung=results.last)
        for seed in results.seeds
        for teacher in teachers
        if teacher in able and results.arm(teacher).reached(seed) <= results.last
    )


def rivals(view: Summary, count: int) -> tuple[str, ...]:
    """Up to `count` teachers beside the lead that may be the best, likeliest first."""
    may_be = [each for each, chance in view.chances.items() if each != view.lead and chance > RIVAL_CHANCE]
    return tuple(may_be[:count])


def by_halves(results: JobResults, step: Step) -> Step:
    """The step only as far as half of the training, where that is still ahead: a change of mind costs no more."""
    rungs = doublings(results.rungs)
    half = rungs[-2] if len(rungs) > 1 else results.last
    reached = results.arm(step.teacher).reached(step.seed)
    return step if step.rung <= half or reached > half else Step(teacher=step.teacher, seed=step.seed, rung=half)


def _seeds_needed(results: JobResults, lead: str, full: FullTrainings | None, margin: float) -> int:
    """One seed more than both have, and at least `LEAST_SEEDS`; none where the rest is not expected to change the
    verdict category."""
    alone, arm = results.alone, results.arm(lead)
    if alone is None:
        return len(results.seeds)
    shared = set(arm.evidence) & set(alone.evidence)
    if len(shared) < LEAST_SEEDS:
        return LEAST_SEEDS
    assert full is not None, "it holds the lead"
    return 0 if full.is_clear(lead, len(results.candidates), margin) else len(shared) + 1
