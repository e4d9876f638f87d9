"""The best teacher over HTTP."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from dpk_core.spec import TaughtMethodName
from service.best_teacher import service
from service.best_teacher.schemas import BestTeacher
from service.database.dependencies import Reading
from service.problems import responses

router = APIRouter(tags=["best teacher"])


@router.get(
    "/best-teacher", operation_id="get_best_teacher", summary="The answer of the newest finished job",
    responses=responses(404),
)  # fmt: skip
def best_teacher(
    session: Reading,
    student: Annotated[str, Query(max_length=400, examples=["cifar/resnet8w4"], description="`model[@weights]`.")],
    dataset: Annotated[str, Query(max_length=200, examples=["digits"])],
    method: Annotated[TaughtMethodName, Query()] = "dpk",
    stamp: Annotated[
        str | None,
        Query(
            pattern="^[0-9a-f]{8}$",
            examples=["5c0a9e21"],
            description="Only jobs with this protocol; without it the newest job decides, whatever its protocol.",
        ),
    ] = None,
) -> BestTeacher:
    """Trains nothing: 404 says how to ask when no finished job answers this yet.

    Jobs with different protocols (budget, recipe, data, method, student's start) are never ranked together: the answer
    is one job's, and `others` lists the newest job of each other protocol.
    """
    return service.best_teacher(session, student, dataset, method, stamp)
