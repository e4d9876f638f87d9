"""What FastAPI's OpenAPI document does not say by itself: the media type of problems, and examples with nulls."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from service.best_teacher.examples import BEST_TEACHER
from service.calibration.examples import CALIBRATION
from service.datasets.examples import DATASET, DATASET_LIST
from service.methods.examples import METHOD_LIST, RECIPE_LIST
from service.models.examples import MODEL, MODEL_LIST
from service.preflight.examples import PREFLIGHT
from service.problems import MEDIA_TYPE, example
from service.selection_jobs.examples import CANCELLING, JOB, JOB_LIST, LEADERBOARD, PAUSED
from service.students.examples import STUDENT

PROBLEM = {"$ref": "#/components/schemas/Problem"}

ANSWERS: dict[str, dict[str, Any]] = {
    "submit_selection_job": JOB,
    "list_selection_jobs": JOB_LIST,
    "get_selection_job": JOB,
    "get_request": JOB["request"],
    "get_leaderboard": LEADERBOARD,
    "get_student": STUDENT,
    "cancel_selection_job": CANCELLING,
    "pause_selection_job": PAUSED,
    "resume_selection_job": JOB,
    "retry_selection_job": JOB,
    "add_teacher": JOB,
    "describe_selection_job": JOB,
    "check_request": PREFLIGHT,
    "get_best_teacher": BEST_TEACHER,
    "get_calibration": CALIBRATION,
    "list_datasets": DATASET_LIST,
    "get_dataset": DATASET,
    "list_methods": METHOD_LIST,
    "list_recipes": RECIPE_LIST,
    "list_models": MODEL_LIST,
    "add_model": MODEL,
    "is_alive": {"status": "alive"},
    "is_ready": {
        "status": "ready",
        "parts": ["database", "schema", "broker"],
        "alarms": ["3 runs are queued, and no training worker was heard of in the last 30 s. Start one: dpk worker."],
    },
}
"""An example of each operation's answer. FastAPI would drop every null from it, and it would not fit its schema."""


def install(app: FastAPI) -> None:
    """Completes the document, once, when it is first asked for."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            for methods in generate()["paths"].values():
                for operation in methods.values():
                    _complete(operation)
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way


def _complete(operation: dict[str, Any]) -> None:
    for status, response in operation["responses"].items():
        if int(status) >= 400:
            response["content"] = {MEDIA_TYPE: {"schema": PROBLEM, "example": example(int(status)).model_dump()}}
        elif (content := response.get("content", {}).get("application/json")) is not None:
            content["example"] = ANSWERS[operation["operationId"]]
