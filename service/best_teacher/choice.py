"""Which finished job answers, and what tells the others from it; pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dpk_core.codec import differences as differences_of
from service.best_teacher.repository import Finished, Group
from service.scheduling.plan import Plan
from service.scheduling.protocol_id import plan_stamp


def in_order(groups: Sequence[Group], is_current: Callable[[Group], bool]) -> list[Group]:
    """The groups in the order in which they answer.

    1. Those whose protocol holds today (`is_current`) come before those on other data or weights.
    2. The decided come before the undecided.
    3. Results under different protocols are never ranked: the protocol of the newest such job goes first.

    Within a group the best-founded (seeds times teachers) answers, then the newest.
    """
    newest_first = sorted(groups, key=lambda each: each.newest, reverse=True)
    # Sorting is stable: what is equal stays newest first.
    return sorted(newest_first, key=lambda each: (not is_current(each), not each.is_decided))


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


def founding_differences(job: Finished, answer: Finished) -> list[str]:
    """What tells a job from the one that answers under the same protocol, in words."""
    own, other = job.outcome, answer.outcome
    size = f"{_count(own.seeds, 'seed')}, {_count(own.tried, 'teacher')}"
    if not own.is_decided:
        return [f"undecided: {size}"]
    if own.strength < other.strength:
        return [f"weaker: {size}"]
    return ["older" if job.finished_at < answer.finished_at else f"newer: {size}"]


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
