"""pydantic's findings as people read them."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from service.validation import field_errors, place
from service.wire.jobs import SelectionJobRequest

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
            "'rkd', 'crd', 'dkd', 'dist', 'reviewkd', 'feature_mse', 'fgd' or 'inherit'.",
            "fitnet",
        ),
        ({"method": {"profile": "qqqq"}}, "method.profile", "This must be one of 'probe' or 'paper'.", None),
        ({"method": {"profile": "papper"}}, "method.profile", "This must be one of 'probe' or 'paper'.", "paper"),
        ({"method": 3}, "method", "This must be a method's name or an object.", None),
        ({"method": {"feature_wieght": 3}}, "method.feature_wieght", "There is no such field.", "feature_weight"),
        ({"method": {"floor": 0.2}}, "method.floor", "There is no such field.", "share.floor"),
        ({"method": {"share": {"flor": 0.2}}}, "method.share.flor", "There is no such field.", "floor"),
        ({"method": {"share": {"floor": "low"}}}, "method.share.floor", "This must be a number.", None),
        (
            {"method": {"stages": [{"name": "lst", "weight": 1}]}},
            "method.stages[0].name",
            "This must be one of 'last', 'second_last', 'third_last' or 'fourth_last'.",
            "last",
        ),
        ({"method": {"stages": [{"name": "last"}]}}, "method.stages[0].weight", "This is required.", None),
        ({"recipe": []}, "recipe", "This must be a recipe's name or an object.", None),
        ({"recipe": {"optimizer": "sgd"}}, "recipe.optimizer", "There is no such field.", "optimiser"),
        ({"recipe": {"clip_norm": "no"}}, "recipe.clip_norm", "This must be a number.", None),
        ({"recipe": {"milestones": 3}}, "recipe.milestones", "This must be a list.", None),
        ({"recipe": {"epochs": 1}}, "recipe.epochs", "This must be at least 2.", None),
        ({"seeds": 0}, "seeds", "This must be at least 1.", None),
        ({"seeds": 1.5}, "seeds", "This must be a whole number.", None),
        ({"budget": {"epochs": 1}}, "budget.epochs", "This must be at least 2.", None),
        ({"budget": 3}, "budget", "This must be an object.", None),
        ({"budgte": {}}, "budgte", "There is no such field.", "budget"),
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
