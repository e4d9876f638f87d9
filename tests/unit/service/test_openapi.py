"""The OpenAPI document is valid, complete and tells no lies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from service.app import create_app
from service.problems import MEDIA_TYPE


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return create_app().openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_every_endpoint_has_a_readable_name(document: dict[str, Any]) -> None:
    assert {place: operation["operationId"] for place, operation in operations(document)} == {
        "POST /selection-jobs": "submit_selection_job",
        "GET /selection-jobs": "list_selection_jobs",
        "GET /selection-jobs/{job_id}": "get_selection_job",
        "GET /selection-jobs/{job_id}/request": "get_request",
        "GET /selection-jobs/{job_id}/leaderboard": "get_leaderboard",
        "GET /selection-jobs/{job_id}/events": "follow_events",
        "POST /selection-jobs/{job_id}/cancel": "cancel_selection_job",
        "POST /selection-jobs/{job_id}/pause": "pause_selection_job",
        "POST /selection-jobs/{job_id}/resume": "resume_selection_job",
        "POST /selection-jobs/{job_id}/retry": "retry_selection_job",
        "POST /selection-jobs/{job_id}/teachers": "add_teacher",
        "PATCH /selection-jobs/{job_id}": "describe_selection_job",
        "POST /preflight": "check_request",
        "GET /best-teacher": "get_best_teacher",
        "GET /calibration": "get_calibration",
        "GET /datasets": "list_datasets",
        "GET /datasets/{name}": "get_dataset",
        "GET /methods": "list_methods",
        "GET /recipes": "list_recipes",
        "GET /selection-jobs/{job_id}/student": "get_student",
        "GET /selection-jobs/{job_id}/student/weights": "get_student_weights",
        "GET /selection-jobs/{job_id}/student/program": "get_student_program",
        "GET /models": "list_models",
        "POST /models": "add_model",
        "GET /healthz": "is_alive",
        "GET /readyz": "is_ready",
    }
    assert all(operation["summary"] and operation["description"] for _, operation in operations(document))


def test_schemas_are_schemas_and_references_lead_somewhere(document: dict[str, Any]) -> None:
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    references = set(_references(document))
    assert references
    for reference in references:
        assert reference.removeprefix("#/components/schemas/") in document["components"]["schemas"]
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_every_error_is_a_problem_with_an_example(document: dict[str, Any]) -> None:
    seen = set()
    for place, operation in operations(document):
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                seen.add(status)
                assert list(response["content"]) == [MEDIA_TYPE], (place, status)
                content = response["content"][MEDIA_TYPE]
                assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
                assert content["example"]["status"] == int(status)
                _validate(document, content["schema"], content["example"])
    assert seen == {"403", "404", "409", "413", "414", "421", "422", "500", "503"}


def test_every_answer_in_json_has_an_example_that_fits(document: dict[str, Any]) -> None:
    for place, operation in operations(document):
        for status, response in operation["responses"].items():
            if (content := response.get("content", {}).get("application/json")) is not None:
                assert "example" in content, (place, status)
                _validate(document, content["schema"], content["example"])


def test_examples_of_the_request_fit(document: dict[str, Any]) -> None:
    content = document["paths"]["/selection-jobs"]["post"]["requestBody"]["content"]["application/json"]
    assert len(content["examples"]) == 4
    for example in content["examples"].values():
        _validate(document, content["schema"], example["value"])


def _validate(document: dict[str, Any], schema: dict[str, Any], value: object) -> None:
    Draft202012Validator({**schema, "components": document["components"]}).validate(value)


def _references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)
