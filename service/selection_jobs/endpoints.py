"""Selection jobs over HTTP."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Body, Header, Path, Query, Response
from pydantic import Field

from service.conditional import UNCHANGED, IfNoneMatch, document, holds, unchanged
from service.database.dependencies import Reading, Writing
from service.outbox.service import dispatch
from service.parameters import NO_PARAMETERS, Parameters
from service.problems import responses
from service.scheduling.states import JobState
from service.selection_jobs import examples, service
from service.selection_jobs.replays import LONGEST_KEY
from service.sub_path import Root
from service.wire.jobs import Job, JobList, SelectionJobRequest, Sort

router = APIRouter(prefix="/selection-jobs", tags=["selection jobs"])

JobId = Annotated[str, Path(max_length=32, description="A job's id.", examples=[examples.JOB_ID])]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key", min_length=1, max_length=LONGEST_KEY, examples=["ci-build-4711"],
        description="The same key with the same request gives the same job, however often it is sent, while data and "
        "weights are the same. Where they changed since, it gives a new job, and `notice` says so.",
    ),
]  # fmt: skip


class ListParameters(Parameters):
    """Which jobs to list, and in which order."""

    limit: int = Field(default=50, ge=1, le=100)
    before: str | None = Field(default=None, max_length=32, description="`next_before` of the page before.")
    sort: Sort = Field(default="newest", description="The order; largest gain or cost first.")
    state: JobState | None = Field(default=None, description="Only jobs in this state.")
    student: str | None = Field(default=None, max_length=400, description="Only about this student.")
    dataset: str | None = Field(default=None, max_length=200, description="Only on this data set.")
    method: str | None = Field(default=None, max_length=40, description="Only with this method.")
    tag: str | None = Field(default=None, max_length=40, description="Only with this tag.")
    search: str = Field(
        default="", max_length=200,
        description="Words that must all occur in name, tags, student, data set, method, teachers or id.",
    )  # fmt: skip
    prefix: str | None = Field(default=None, pattern="^[0-9a-f]{1,32}$", description="Only jobs whose id begins so.")


@router.post(
    "", operation_id="submit_selection_job", summary="Ask which teacher to take", status_code=202,
    dependencies=NO_PARAMETERS,
    responses={
        202: {
            "description": "Accepted; `Location` is the job's address.",
            "headers": {"Location": {"schema": {"type": "string"}, "description": "The job's address."}},
        },
        **responses(422),
    },
)  # fmt: skip
def submit(
    request: Annotated[SelectionJobRequest, Body(openapi_examples=examples.REQUESTS)],
    response: Response,
    background: BackgroundTasks,
    root: Root,
    idempotency_key: IdempotencyKey = None,
) -> Job:
    """Checks everything that can be checked before training; what is wrong is named field by field."""
    job = service.submit(request, idempotency_key)
    response.headers["Location"] = root + job.links.self
    background.add_task(dispatch)
    return job


@router.get(
    "", operation_id="list_selection_jobs", summary="Jobs, filtered and sorted",
)  # fmt: skip
def list_jobs(session: Reading, asked: Annotated[ListParameters, Query()]) -> JobList:
    """At most `limit` jobs that come after the job `before`; the newest first unless `sort` says otherwise."""
    return service.list_jobs(session, **asked.model_dump())


@router.get(
    "/{job_id}", operation_id="get_selection_job", summary="One job",
    dependencies=NO_PARAMETERS, response_model=Job, responses={**UNCHANGED, **responses(404)},
)  # fmt: skip
def get(session: Reading, job_id: JobId, if_none_match: IfNoneMatch = None) -> Response:
    """State, progress, an estimate of the rest, and the newest verdict. All of it is as of the last change, and so is
    the `ETag`: the estimate does not count down in between."""
    tag = service.tag_of(session, job_id)
    if holds(tag, if_none_match):
        return unchanged(tag)
    return document(tag, service.get(session, job_id).model_dump_json())


@router.get(
    "/{job_id}/request", operation_id="get_request", summary="The request that repeats a job",
    dependencies=NO_PARAMETERS, responses=responses(404),
)  # fmt: skip
def request(session: Reading, job_id: JobId, response: Response) -> SelectionJobRequest:
    """As it was sent, with every default filled in: for `dpk submit --file`, or the body of another submission."""
    response.headers["Content-Disposition"] = 'attachment; filename="request.json"'
    return service.request_of(session, job_id)


@router.post(
    "/{job_id}/cancel", operation_id="cancel_selection_job", summary="End a job early", status_code=202,
    dependencies=NO_PARAMETERS, responses=responses(404, 409),
)  # fmt: skip
def cancel(session: Writing, job_id: JobId, background: BackgroundTasks) -> Job:
    """The job is `cancelling` until every process that works for it alone is gone. Trained teachers stay stored."""
    background.add_task(dispatch)
    return service.cancel(session, job_id)
