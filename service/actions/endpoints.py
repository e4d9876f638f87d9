"""What can be done to a job, over HTTP."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Query
from pydantic import Field

from service.actions import service
from service.database.dependencies import Writing
from service.outbox.service import dispatch
from service.parameters import NO_PARAMETERS, Parameters
from service.problems import responses
from service.selection_jobs.endpoints import JobId
from service.wire.jobs import Job, JobDescription, TeacherRequest

router = APIRouter(prefix="/selection-jobs", tags=["selection jobs"])


class RetryParameters(Parameters):
    """What to retry; without any, everything that failed."""

    run: str | None = Field(default=None, max_length=32, description="A failed run, with the failed ones of its arm.")
    teacher: str | None = Field(default=None, max_length=200, description="The arm of this teacher; `none`: of no one.")


@router.post(
    "/{job_id}/pause", operation_id="pause_selection_job", summary="Begin nothing new", dependencies=NO_PARAMETERS,
    responses=responses(404, 409),
)  # fmt: skip
def pause(session: Writing, job_id: JobId, background: BackgroundTasks) -> Job:
    """Trainings stop at their checkpoints and leave their slots to others. The job stays paused until it is resumed."""
    background.add_task(dispatch)
    return service.pause(session, job_id)


@router.post(
    "/{job_id}/resume", operation_id="resume_selection_job", summary="Go on after a pause",
    dependencies=NO_PARAMETERS, responses=responses(404, 409),
)  # fmt: skip
def resume(session: Writing, job_id: JobId, background: BackgroundTasks) -> Job:
    """Trainings go on from their checkpoints with the results that they would have had without the pause."""
    background.add_task(dispatch)
    return service.resume(session, job_id)


@router.post(
    "/{job_id}/retry", operation_id="retry_selection_job", summary="Try again what failed",
    responses=responses(404, 409, 422),
)  # fmt: skip
def retry(
    session: Writing, job_id: JobId, background: BackgroundTasks, asked: Annotated[RetryParameters, Query()]
) -> Job:
    """Another run takes the place of each failed one, and goes on from its checkpoint where that is sound. A job that
    is over runs again, and its verdict is open until then."""
    background.add_task(dispatch)
    return service.retry(session, job_id, run=asked.run, teacher=asked.teacher)


@router.post(
    "/{job_id}/teachers", operation_id="add_teacher", summary="Compare another teacher too",
    dependencies=NO_PARAMETERS, responses=responses(404, 409, 422),
)  # fmt: skip
def add_teacher(job_id: JobId, wanted: TeacherRequest, background: BackgroundTasks) -> Job:
    """It joins the candidates, and exploring begins again. A job that is over runs again. What was trained is kept."""
    background.add_task(dispatch)
    return service.add_teacher(job_id, wanted.teacher)


@router.patch(
    "/{job_id}", operation_id="describe_selection_job", summary="Name and tag a job", dependencies=NO_PARAMETERS,
    responses=responses(404, 422),
)  # fmt: skip
def describe(session: Writing, job_id: JobId, wanted: JobDescription) -> Job:
    """A field that is left out stays as it is."""
    return service.describe(session, job_id, wanted)
