"""What can be done with selection jobs. Except for `submit`, all of it happens in the caller's transaction."""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy.orm import Session

from dpk_core.codec import content_key, to_json
from service.conditional import etag
from service.database.documents import Unreadable
from service.database.session import reading, transaction
from service.database.tables import Candidate, SelectionJob
from service.database.types import utc_now
from service.events import repository as events
from service.health import service as health
from service.models.service import parameter_count
from service.outbox import service as outbox
from service.presentation import VERSION
from service.problems import Conflict, NotFound, Rejected
from service.runs import service as runs
from service.scheduling import repository
from service.scheduling.advance import advance_job
from service.scheduling.plan import Plan
from service.scheduling.protocol_id import plan_stamp
from service.selection_jobs import replays
from service.selection_jobs.preflight import check
from service.selection_jobs.request_notices import request_notices
from service.selection_jobs.views import job_view, read_uploads, unreadable_view
from service.settings import settings
from service.wire import jobs as schemas


def submit(
    request: schemas.SelectionJobRequest,
    key: str | None,
    outdated: replays.Outdated = lambda _job: None,
    plan: Plan | None = None,
) -> schemas.Job:
    """Makes a job, or returns the one that this idempotency key made of the same request on the same data and weights,
    unless that one is `outdated`. `plan`: what pre-flight just made of the request, where it ran before.

    Opens its own transactions: pre-flight may read a data set, which must not happen while others wait to write.
    Raises Rejected when the request cannot work or the key belongs to another request.
    """
    request_hash = content_key(request.model_dump(mode="json"))
    bound = None if key is None else replays.find(key, request_hash, outdated)
    if bound is not None and not bound.changes:
        return _read(bound.job_id)
    plan = plan or check(request, settings().data_root, settings().weights_root)
    request_notices(plan, parameter_count)  # reads lists of parameters, for which a transaction must not wait
    try:
        with transaction() as session:
            job_id = _create(session, request, plan)
            if key is not None:
                replays.bind(session, key, request_hash, job_id, bound)
            job = get(session, job_id)
    except replays.Overtaken:
        # The same key was bound by a request that overtook this one; what it made is the answer to both.
        assert key is not None
        return _read(replays.bound_job(key, request_hash))
    if bound is None:
        return job
    said = schemas.Notice(level="warning", message=bound.notice)
    return job.model_copy(update={"notices": [said, *job.notices]})


def _read(job_id: str) -> schemas.Job:
    with reading() as session:
        return get(session, job_id)


def _create(session: Session, request: schemas.SelectionJobRequest, plan: Plan) -> str:
    """The job, its candidates, its first event and its message."""
    job = SelectionJob(
        id=uuid.uuid4().hex, state="queued", stage=None, request=request.model_dump(mode="json"), plan=to_json(plan),
        task=plan.task, student=request.student.label, dataset=plan.dataset, method=plan.method.name,
        protocol=plan_stamp(plan), created_at=utc_now(),
    )  # fmt: skip
    session.add(job)
    session.flush()
    repository.describe(session, job, request.name, request.tags)
    session.add_all(
        Candidate(job_id=job.id, position=position, teacher=teacher, status="waiting")
        for position, teacher in enumerate(plan.arms)
    )
    events.record(session, job.id, "created", {})
    outbox.enqueue(session, "advance_job", job.id)
    session.refresh(job)
    return job.id


def get(session: Session, job_id: str) -> schemas.Job:
    """One job. Raises NotFound."""
    return _views(session, [job_of(session, job_id)])[0]


def request_of(session: Session, job_id: str) -> schemas.SelectionJobRequest:
    """What was asked for, with every default filled in. Raises NotFound."""
    return schemas.SelectionJobRequest.model_validate(job_of(session, job_id).request)


def tag_of(session: Session, job_id: str) -> str:
    """The tag of a job and its board: changes with its rows, its runs' progress and the living workers.

    Raises NotFound.
    """
    marks = repository.marks(session, job_id)
    if marks is None:
        raise missing(job_id)
    # Workers concern live jobs only.
    is_live = marks.state in repository.LIVE
    workers = [health.slots(session), health.waiting_for(session, marks.created_at)] if is_live else []
    return etag(VERSION, job_id, marks.state, marks.revision, list(marks.runs), workers)


def list_jobs(
    session: Session, *, limit: int = 50, before: str | None = None, sort: schemas.Sort = "newest", **chosen: Any
) -> schemas.JobList:
    """The first `limit` jobs behind the job `before` in the order `sort`; `chosen`: the fields of a Filter."""
    last = None if before is None else repository.find(session, before)
    if before is not None and last is None:
        message = f"There is no selection job {before!r}. Take next_before of the page before."
        raise Rejected.at("before", message)
    jobs = repository.page(session, limit + 1, last, repository.Filter(**chosen), sort)
    more = len(jobs) > limit
    return schemas.JobList(jobs=_views(session, jobs[:limit]), next_before=jobs[limit - 1].id if more else None)


def cancel(session: Session, job_id: str) -> schemas.Job:
    """Asks a job to end. Asking again changes nothing. Raises NotFound; Conflict when it has ended otherwise."""
    job = repository.lock(session, job_id)
    if job is None:
        raise missing(job_id)
    if job.state in ("finished", "failed"):
        raise Conflict(f"The job has {job.state}; it cannot be cancelled any more.")
    if job.state in (*repository.LIVE, "paused"):
        job.state = "cancelling"
        events.record(session, job_id, "cancelling", {})
        runs.request_cancel(session, repository.snapshot(session, job).unfinished(), job_id)
        advance_job(session, job_id)
    session.flush()
    session.refresh(job)
    return get(session, job_id)


def _views(session: Session, jobs: list[SelectionJob]) -> list[schemas.Job]:
    verdicts = repository.newest_verdicts(session, [job.id for job in jobs])
    slots, missing = health.slots(session), health.missing_worker(session)
    tags = repository.tags(session, [job.id for job in jobs])
    try:
        found = repository.snapshots(session, jobs)
        read_uploads(session, found)
        return [job_view(each, verdicts.get(each.job.id), slots, missing, tags[each.job.id]) for each in found]
    except Unreadable as error:
        if len(jobs) == 1:
            return [unreadable_view(jobs[0], str(error), tags[jobs[0].id])]
    return [view for job in jobs for view in _views(session, [job])]


def job_of(session: Session, job_id: str) -> SelectionJob:
    """The row of a job. Raises NotFound."""
    job = repository.find(session, job_id)
    if job is None:
        raise missing(job_id)
    return job


def missing(job_id: str) -> NotFound:
    """That there is no such job."""
    return NotFound(f"There is no selection job {job_id!r}.")
