"""The best teacher over HTTP."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Query, Request, Response
from pydantic import Field

from dpk_core.spec import AskedMethodName
from service.best_teacher import asking, shortcut
from service.best_teacher.schemas import AskedBestTeacher, BestTeacher, BestTeacherRequest
from service.conditional import UNCHANGED, IfNoneMatch, document, holds, unchanged
from service.outbox.service import dispatch
from service.parameters import NO_PARAMETERS, Parameters
from service.problems import responses

router = APIRouter(tags=["best teacher"])


class BestTeacherParameters(Parameters):
    """The question."""

    student: str = Field(max_length=400, examples=["cifar/resnet8w4"], description="`model[@weights]`.")
    dataset: str = Field(max_length=200, examples=["digits"])
    method: AskedMethodName = "dpk"
    stamp: str | None = Field(
        default=None,
        pattern="^[0-9a-f]{8}$",
        examples=["5c0a9e21"],
        description="Only jobs with this protocol; without it, the newest protocol that decided on today's data.",
    )


@router.get(
    "/best-teacher", operation_id="get_best_teacher", summary="The best-founded answer of the finished jobs",
    response_model=BestTeacher, responses={**UNCHANGED, **responses(404)},
)  # fmt: skip
async def best_teacher(
    request: Request, asked: Annotated[BestTeacherParameters, Query()], if_none_match: IfNoneMatch = None
) -> Response:
    """Trains nothing. The answer is one job's: under its protocol the decided one with the most seeds times teachers,
    then the newest; a weaker or undecided job never replaces it. `others` lists the rest.

    Jobs with different protocols (budget, recipe, data, method, student's start) are never ranked together. An answer
    whose data, weights or training code changed since is `stale` and says why.

    404 where no finished job answers: of type `urn:dpk-select:problem:running`, naming the job, where one is under way,
    else `urn:dpk-select:problem:not-found`.
    """
    question = (asked.student, asked.dataset, asked.method, asked.stamp)
    tag, body = await shortcut.answer(question)
    shortcut.remember(request.scope["query_string"], question)
    return unchanged(tag) if holds(tag, if_none_match) else document(tag, body)


@router.post(
    "/best-teacher", operation_id="ask_best_teacher", summary="The answer, or the job that is to give it",
    dependencies=NO_PARAMETERS,
    responses={202: {"model": AskedBestTeacher, "description": "A job is to answer."}, **responses(422)},
)  # fmt: skip
def ask(asked: BestTeacherRequest, response: Response, background: BackgroundTasks) -> AskedBestTeacher:
    """Starts a job where the evidence under the request's protocol is missing, stale, older than `max_age_seconds`,
    undecided or not about all of its teachers. The same question gives the same job, however often it is asked, until
    that job failed, was cancelled, is too old, or data, weights or training code changed.

    An undecided answer is not asked again as long as nothing changes: `job` is then the one that could not decide.
    """
    found = asking.ask(asked)
    if found.job is not None and found.job.state in ("queued", "running"):
        response.status_code = HTTPStatus.ACCEPTED
        background.add_task(dispatch)
    return found
