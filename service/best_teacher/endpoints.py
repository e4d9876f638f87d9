"""The best teacher over HTTP."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query

from service.best_teacher import service
from service.best_teacher.schemas import BestTeacher
from service.database.dependencies import Reading
from service.problems import responses

router = APIRouter(tags=["best teacher"])

EXAMPLE: dict[str, Any] = {
    "student": "cifar/resnet8w4",
    "dataset": "digits",
    "method": "dpk",
    "verdict": "tie",
    "teacher": "cifar/resnet20",
    "tied": ["cifar/resnet14"],
    "sentence": "Take resnet20; resnet14 is within noise; both beat no teacher by at least 1.1 points, resnet20 by "
    "1.4 points (90 % interval 0.8 to 2.0).",
    "expected_accuracy": {"value": 0.942, "low": 0.934, "high": 0.95, "confidence": 0.9},
    "gain": {"value": 0.014, "low": 0.008, "high": 0.02, "confidence": 0.9},
    "job": "9f1c7a52b8e94f0da3c15be0a7c4d218",
    "page": "/jobs/9f1c7a52b8e94f0da3c15be0a7c4d218",
    "finished_at": "2026-01-05T09:04:12Z",
}


@router.get(
    "/best-teacher", operation_id="get_best_teacher", summary="The answer of the newest finished job",
    responses={200: {"content": {"application/json": {"example": EXAMPLE}}}, **responses(404)},
)  # fmt: skip
def best_teacher(
    session: Reading,
    student: Annotated[str, Query(max_length=200, examples=["cifar/resnet8w4"])],
    dataset: Annotated[str, Query(max_length=200, examples=["digits"])],
    method: Annotated[Literal["dpk", "kd"], Query()] = "dpk",
) -> BestTeacher:
    """Trains nothing: 404 says how to ask when no finished job answers this yet."""
    return service.best_teacher(session, student, dataset, method)
