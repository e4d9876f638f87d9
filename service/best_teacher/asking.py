"""A question is answered from what is known where that suffices, else by a job: the same one each time it is asked."""

from __future__ import annotations

from collections.abc import Callable

from dpk_core.codec import content_key
from service.best_teacher.schemas import AskedBestTeacher, BestTeacher, BestTeacherRequest
from service.best_teacher.service import arms_of, best_teacher
from service.database.tables import SelectionJob
from service.database.types import utc_now
from service.presentation.best_teacher_words import HOLDS, ended_before, lacking, no_result_before, not_compared
from service.problems import NotFound
from service.scheduling.plan import Plan
from service.scheduling.protocol_id import plan_stamp
from service.selection_jobs.preflight import check
from service.selection_jobs.service import submit
from service.settings import settings
from service.wire.jobs import SelectionJobRequest

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
    why = lacking(answer, asked.max_age_seconds) or _not_compared(answer, plan)
    if why is None:
        return AskedBestTeacher(answer=answer, holds=True, because=HOLDS, job=None, stamp=stamp)
    key = KEY + content_key(request.model_dump(mode="json"))
    job = submit(request, key, _outdated(asked.max_age_seconds), plan)
    return AskedBestTeacher(answer=answer, holds=False, because=why, job=job, stamp=stamp)


def _not_compared(answer: BestTeacher | None, plan: Plan) -> str | None:
    """That the answer is not about all of the request's teachers."""
    known = () if answer is None else arms_of(answer.job)
    missing = [arm for arm in plan.arms if arm is not None and arm not in known]
    return not_compared(missing) if missing else None


def _outdated(max_age: float | None) -> Callable[[SelectionJob], str | None]:
    """Jobs that ended without a result, or too long ago, are asked anew. An undecided one is not: with the same data it
    would be undecided again."""

    def why(job: SelectionJob) -> str | None:
        if job.state in ("failed", "cancelled", "cancelling"):
            return no_result_before(job.state)
        age = None if job.finished_at is None else (utc_now() - job.finished_at).total_seconds()
        if age is not None and max_age is not None and age > max_age:
            return ended_before(age)
        return None

    return why
