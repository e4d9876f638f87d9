"""pydantic's findings as people read them."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from service.selection_jobs.schemas import SelectionJobRequest
from service.validation import field_errors, place

RIGHT: dict[str, Any] = {"student": "s", "dataset": "d", "teachers": ["t"]}


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        (("body", "teachers", 2), "teachers[2]"),
        (("body", "budget", "epochs"), "budget.epochs"),
        (("query", "limit"), "limit"),
        (("body",), "body"),
        ((), "body"),
        (("a", 0, "b", 1), "a[0].b[1]"),
    ],
)
def test_places_are_written_as_people_write_them(location: tuple[str | int, ...], expected: str) -> None:
    assert place(location) == expected


@pytest.mark.parametrize(
    ("change", "field", "message", "nearest"),
    [
        ({"teachers": ["t", 3]}, "teachers[1]", "This must be a model's name or an object.", None),
        ({"teachers": []}, "teachers", "This must have at least 1 entries.", None),
        (
            {"method": "fitnt"},
            "method",
            "This must be one of 'dpk', 'dpk_no_teacher_tokens', 'dpk_features_only', 'kd', 'fitnet', 'at', 'sp', "
            "'rkd', 'crd', 'dkd', 'dist' or 'reviewkd'.",
            "fitnet",
        ),
        ({"profile": "qqqq"}, "profile", "This must be one of 'probe' or 'paper'.", None),
        ({"profile": "papper"}, "profile", "This must be one of 'probe' or 'paper'.", "paper"),
        ({"seeds": 0}, "seeds", "This must be at least 1.", None),
        ({"seeds": 1.5}, "seeds", "This must be a whole number.", None),
        ({"budget": {"epochs": 1}}, "budget.epochs", "This must be at least 2.", None),
        ({"budget": 3}, "budget", "This must be an object.", None),
        ({"budgte": {}}, "budgte", "There is no such field.", None),
        ({"student": "s" * 201}, "student.model", "This must have at most 200 characters.", None),
    ],
)
def test_sentences_name_what_to_do(change: dict[str, Any], field: str, message: str, nearest: str | None) -> None:
    with pytest.raises(ValidationError) as raised:
        SelectionJobRequest.model_validate({**RIGHT, **change})
    (error,) = field_errors(dict(finding) for finding in raised.value.errors())
    assert (error.field, error.message, error.nearest) == (field, message, nearest)


def test_what_is_missing_is_named() -> None:
    with pytest.raises(ValidationError) as raised:
        SelectionJobRequest.model_validate({})
    errors = field_errors(dict(finding) for finding in raised.value.errors())
    assert [error.field for error in errors] == ["student", "dataset", "teachers"]
    assert {error.message for error in errors} == {"This is required."}
