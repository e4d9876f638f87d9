"""Trained students over HTTP."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import Field

from service.parameters import NO_PARAMETERS, Parameters
from service.problems import responses
from service.selection_jobs.endpoints import JobId
from service.students import service
from service.students.schemas import Student

router = APIRouter(prefix="/selection-jobs", tags=["students"])


class StudentParameters(Parameters):
    """Which student."""

    teacher: str | None = Field(
        default=None, max_length=400, examples=["cifar/resnet20"],
        description="By default the one that the verdict names; `none`: the student without a teacher.",
    )  # fmt: skip
    seed: int | None = Field(
        default=None, ge=0, le=1000, description="By default the median of the seeds by validation accuracy."
    )


@router.get(
    "/{job_id}/student", operation_id="get_student", summary="A job's trained student", responses=responses(404, 409),
)  # fmt: skip
def student(job_id: JobId, asked: Annotated[StudentParameters, Query()]) -> Student:
    """What it is, how well it does, and where its weights are."""
    return service.student(job_id, asked.teacher, asked.seed)


_SAFETENSORS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
}


@router.get(
    "/{job_id}/student/weights", operation_id="get_student_weights", summary="Its weights", response_class=Response,
    responses={**_SAFETENSORS, **responses(404, 409)},
)  # fmt: skip
def weights(job_id: JobId, asked: Annotated[StudentParameters, Query()]) -> Response:
    """The safetensors file."""
    content = service.weights(job_id, asked.teacher, asked.seed)
    return Response(content, media_type="application/octet-stream")


@router.get(
    "/{job_id}/student/program", operation_id="get_student_program", summary="What an uploaded student is built from",
    response_class=Response, dependencies=NO_PARAMETERS, responses={**_SAFETENSORS, **responses(404)},
)  # fmt: skip
def program(job_id: JobId) -> Response:
    """The checked program of an uploaded network, a safetensors file whose metadata describe the network."""
    return Response(service.program(job_id), media_type="application/octet-stream")
