"""pydantic's findings in words a person would use, at places a person would name (`teachers[2]`, `budget.epochs`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dpk_core.nearest import nearest
from service.schemas import LONGEST_NAME, FieldError

_SOURCES = frozenset({"body", "query", "path", "header", "cookie"})

_SENTENCES = {
    "missing": "This is required.",
    "extra_forbidden": "There is no such field.",
    "bool_parsing": "This must be true or false.",
    "bool_type": "This must be true or false.",
    "dict_type": "This must be an object.",
    "finite_number": "This must be a finite number.",
    "float_parsing": "This must be a number.",
    "float_type": "This must be a number.",
    "greater_than": "This must be more than {gt}.",
    "greater_than_equal": "This must be at least {ge}.",
    "int_from_float": "This must be a whole number.",
    "int_parsing": "This must be a whole number.",
    "int_parsing_size": "This must be a whole number, and not as large.",
    "int_type": "This must be a whole number.",
    "less_than": "This must be less than {lt}.",
    "less_than_equal": "This must be at most {le}.",
    "list_type": "This must be a list.",
    "literal_error": "This must be one of {expected}.",
    "model_attributes_type": "This must be an object.",
    "model_type": "This must be an object.",
    "string_too_long": "This must have at most {max_length} characters.",
    "string_too_short": "This must have at least {min_length} characters.",
    "string_type": "This must be text.",
    "too_long": "This must have at most {max_length} entries.",
    "too_short": "This must have at least {min_length} entries.",
}


def field_errors(findings: Iterable[Mapping[str, Any]]) -> list[FieldError]:
    """One entry per finding, in pydantic's order."""
    return [_field_error(finding) for finding in findings]


def place(location: Sequence[int | str]) -> str:
    """A location in JSON notation: `("body", "teachers", 2)` is `teachers[2]`; the body itself is `body`."""
    inside = location[1:] if location and location[0] in _SOURCES else location
    if not inside:
        return str(location[0]) if location else "body"
    text = ""
    for part in inside:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _field_error(finding: Mapping[str, Any]) -> FieldError:
    sentence = _SENTENCES.get(finding["type"])
    if isinstance(finding.get("input"), bytes):
        # FastAPI hands on unread bytes where the request does not say that they are JSON.
        return FieldError(field="body", message="This must be JSON, sent with Content-Type: application/json.")
    message = f"{finding['msg']}." if sentence is None else sentence.format(**_limits(finding))
    return FieldError(field=place(finding["loc"]), message=message, nearest=_nearest(finding))


def _limits(finding: Mapping[str, Any]) -> dict[str, Any]:
    """What a sentence names; a limit of a fractional number that is whole is written as such."""
    named = finding.get("ctx", {}).items()
    return {name: int(value) if isinstance(value, float) and value.is_integer() else value for name, value in named}


def _nearest(finding: Mapping[str, Any]) -> str | None:
    given = finding.get("input")
    if finding["type"] == "extra_forbidden":
        offered: str | None = finding.get("ctx", {}).get("nearest")
        return offered
    if finding["type"] != "literal_error" or not isinstance(given, str) or len(given) > LONGEST_NAME:
        return None
    choices = [choice.strip(" '") for choice in finding["ctx"]["expected"].replace(" or ", ",").split(",")]
    return nearest(given, choices)
