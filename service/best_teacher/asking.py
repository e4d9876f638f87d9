"""A question is answered from what is known where that suffices, else by a job: the same one each time it is asked."""

from __future__ import annotations

from collections.abc import Callable

from dpk_core.codec import content_key
from service.best_teacher.schemas import AskedBestTeacher, BestTeacher, BestTeacherRequest
from service.best_teacher.service import arms_of, best_teacher
from service.database.tables import SelectionJob
from service.database.types import utc_now
from service.presentation.numbers import counted, duration, listed, short
from service.problems import NotFound
from service.scheduling.protocol_id import plan_stamp
from service.selection_jobs.preflight import check
from service.selection_jobs.service import submit
from service.settings import settings
from service.wire.jobs import SelectionJobRequest

HOLDS = "The answer holds: it is decided, and data, weights and training code are those of its job."
KEY = "best-teacher:"
"""How the keys of such jobs begin. The rest is the request's hash."""


def ask(asked: BestTeacherRequest) -> AskedBestTeacher:
    """Answers, and makes a job where the answer is missing, stale, too old, undecided or about other teachers.

    Opens its own transactions. Raises Rejected when the request cannot work.
    """
    request = SelectionJobRequest.model_validate(asked.model_dump(exclude={"max_age_seconds"}))
    plan = check(request, settings().data_root, settings().weights_root)
    stamp = plan_stamp(plan)
    try:
        answer = best_teacher(request.student.label, request.dataset, plan.method.name, stamp)
    except NotFound:
        answer = None
    why = _lacks(answer, [arm for arm in plan.arms if arm is not None], asked.max_age_seconds)
    if why is None:
        return AskedBestTeacher(answer=answer, holds=True, because=HOLDS, job=None, stamp=stamp)
    key = KEY + content_key(request.model_dump(mode="json"))
    job = submit(request, key, _outdated(asked.max_age_seconds))
    return AskedBestTeacher(answer=answer, holds=False, because=why, job=job, stamp=stamp)


def _lacks(answer: BestTeacher | None, teachers: list[str], max_age: float | None) -> str | None:
    """Why the answer does not suffice."""
    if answer is None:
        return "No finished job has asked this under this protocol."
    if answer.stale:
        return " ".join(answer.stale_because)
    if max_age is not None and answer.age_seconds > max_age:
        return f"The answer is {duration(answer.age_seconds)} old; allowed: {duration(max_age)}."
    if answer.verdict == "undecided":
        return "The job that answers could not decide."
    if missing := [short(teacher) for teacher in teachers if teacher not in arms_of(answer.job)]:
        number = counted(len(missing), "teacher")
        return f"The job that answers did not compare {number} of the request: {listed(missing)}."
    return None


def _outdated(max_age: float | None) -> Callable[[SelectionJob], str | None]:
    """Jobs that ended without a result, or too long ago, are asked anew. An undecided one is not: with the same data it
    would be undecided again."""

    def why(job: SelectionJob) -> str | None:
        if job.state in ("failed", "cancelled", "cancelling"):
            return f"The job before is {job.state}."
        age = None if job.finished_at is None else (utc_now() - job.finished_at).total_seconds()
        if age is not None and max_age is not None and age > max_age:
            return f"The job before ended {duration(age)} ago."
        return None

    return why
