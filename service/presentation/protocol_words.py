"""What tells jobs that asked the same question from each other, in words."""

from __future__ import annotations

from dpk_core.codec import differences as differences_of
from service.presentation.numbers import counted
from service.scheduling.outcome import Outcome
from service.scheduling.plan import Plan
from service.scheduling.protocol_id import plan_stamp


def protocol_differences(plan: Plan, answer: Plan) -> list[str]:
    """What tells a job's protocol from that of the one that answers, in words; nothing where it is the same."""
    recipe, other = plan.student_recipe, answer.student_recipe
    found = []
    if plan.data_fingerprint != answer.data_fingerprint:
        found.append("other data")
    if recipe.name != other.name:
        found.append(f"recipe {recipe.name}")
    if recipe.epochs != other.epochs:
        found.append(f"{recipe.epochs} epochs instead of {other.epochs}")
    if recipe.batch_size != other.batch_size:
        found.append(f"batches of {recipe.batch_size} instead of {other.batch_size}")
    if plan.method != answer.method:
        changed = differences_of(plan.method, answer.method)
        found.append(f"other settings of the method ({', '.join(name.partition('.')[2] or name for name in changed)})")
    if plan.student_start != answer.student_start:
        found.append("other weights of the student")
    if plan.version != answer.version:
        found.append("another training version")
    if not found and plan_stamp(plan) != plan_stamp(answer):
        found.append(f"other settings of the recipe ({', '.join(differences_of(recipe, other))})")
    return found


def founding_differences(job: Outcome, answer: Outcome, *, older: bool) -> list[str]:
    """What tells a job, which is `older` or newer, from the one that answers under the same protocol, in words."""
    size = f"{counted(job.seeds, 'seed')}, {counted(job.tried, 'teacher')}"
    if not job.is_decided:
        return [f"undecided: {size}"]
    if job.strength < answer.strength:
        return [f"weaker: {size}"]
    return ["older" if older else f"newer: {size}"]
