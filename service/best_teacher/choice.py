"""Which finished job answers, and what tells the others from it; pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dpk_core.codec import differences as differences_of
from dpk_core.codec import from_json
from dpk_core.spec import MethodSpec, Recipe
from service.best_teacher.repository import Finished
from service.scheduling.protocol_id import stored_stamp


def in_order(finished: Sequence[Finished], is_current: Callable[[Mapping[str, Any]], bool]) -> list[Finished]:
    """The finished jobs, newest first, in the order in which they answer.

    1. Those whose protocol holds today (`is_current`, of a stored plan) come before those on other data or weights.
    2. The decided come before the undecided.
    3. Results under different protocols are never ranked: the protocol of the newest such job goes first.
    4. Within a protocol the best-founded (seeds times teachers) goes first, then the newest.
    """
    protocols: dict[tuple[bool, bool, str], list[Finished]] = {}
    current: dict[str, bool] = {}
    for job in finished:
        stamp = stored_stamp(job.plan)
        if stamp not in current:
            current[stamp] = is_current(job.plan)
        protocols.setdefault((not current[stamp], not job.is_decided, stamp), []).append(job)
    # Sorting is stable: what is equal stays newest first.
    groups = sorted(protocols.items(), key=lambda item: item[0][:2])
    return [job for _, jobs in groups for job in sorted(jobs, key=lambda job: -job.strength)]


def differences(job: Finished, answer: Finished) -> list[str]:
    """What tells a job from the one that answers, in words."""
    return _protocol(job.plan, answer.plan) or _founding(job, answer)


def _protocol(plan: Mapping[str, Any], answer: Mapping[str, Any]) -> list[str]:
    recipe, other = plan["student_recipe"], answer["student_recipe"]
    found = []
    if plan["data_fingerprint"] != answer["data_fingerprint"]:
        found.append("other data")
    if recipe["name"] != other["name"]:
        found.append(f"recipe {recipe['name']}")
    if recipe["epochs"] != other["epochs"]:
        found.append(f"{recipe['epochs']} epochs instead of {other['epochs']}")
    if recipe["batch_size"] != other["batch_size"]:
        found.append(f"batches of {recipe['batch_size']} instead of {other['batch_size']}")
    if plan["method"] != answer["method"]:
        changed = differences_of(from_json(MethodSpec, plan["method"]), from_json(MethodSpec, answer["method"]))
        found.append(f"other settings of the method ({', '.join(name.partition('.')[2] or name for name in changed)})")
    if plan.get("student_start") != answer.get("student_start"):
        found.append("other weights of the student")
    if plan.get("version") != answer.get("version"):
        found.append("another training version")
    if not found and stored_stamp(plan) != stored_stamp(answer):
        changed = differences_of(from_json(Recipe, recipe), from_json(Recipe, other))
        found.append(f"other settings of the recipe ({', '.join(changed)})")
    return found


def _founding(job: Finished, answer: Finished) -> list[str]:
    size = f"{_count(job.seeds, 'seed')}, {_count(job.tried, 'teacher')}"
    if not job.is_decided:
        return [f"undecided: {size}"]
    if job.strength < answer.strength:
        return [f"weaker: {size}"]
    return ["older" if job.finished_at < answer.finished_at else f"newer: {size}"]


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
