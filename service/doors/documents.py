"""JSON bodies: bounded before anything is made of them, so that what is wrong with one costs and says little."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any, NoReturn

from service.doors.texts import NOT_TEXT, SENTENCE
from service.problems import Rejected
from service.validation import place

DEEPEST = 16
MOST_VALUES = 50_000
"""Values of a document, however nested, and commas: a class map has up to 40,000. To parse, check and validate so many
takes less than a tenth of a second, in which the event loop serves nobody else."""
LONGEST_NAME = 200
LONGEST_NUMBER = 40
"""Digits."""


def check_document(body: bytes) -> None:
    """Raises Rejected for a body that is no JSON, or one beyond the limits.

    It is parsed here by Python's parser, which stops at deep nesting by itself, and once more by FastAPI, without
    harm: it is small.
    """
    if body.count(b",") > MOST_VALUES:
        raise _too_many()
    try:
        document = json.loads(body.decode("utf-8-sig"), parse_int=_whole_number, parse_constant=_no_number)
    except UnicodeDecodeError:
        raise Rejected.at("body", "The body is not UTF-8 text.") from None
    except json.JSONDecodeError as error:
        raise Rejected.at("body", f"The body is not JSON: {error.msg}.") from None
    except RecursionError:
        raise _too_deep() from None
    _check_values(document)


def _check_values(document: object) -> None:
    count = 0
    waiting: list[tuple[tuple[int | str, ...], dict[str, Any] | list[Any]]] = [((), {"body": document})]
    while waiting:
        path, inside = waiting.pop()
        if len(path) > DEEPEST:
            raise _too_deep()
        count += len(inside)
        if count > MOST_VALUES:
            raise _too_many()
        if isinstance(inside, dict):
            for name in inside:
                _check_name(name, path)
        entries: Iterable[tuple[int | str, Any]] = inside.items() if isinstance(inside, dict) else enumerate(inside)
        for key, value in entries:
            if isinstance(value, dict | list):
                waiting.append(((*path, key), value))
            elif isinstance(value, str) and NOT_TEXT.search(value):
                raise Rejected.at(place((*path, key)), SENTENCE)
            elif isinstance(value, float) and not math.isfinite(value):
                raise Rejected.at(place((*path, key)), "This must be a finite number.")


def _check_name(name: str, path: tuple[int | str, ...]) -> None:
    if NOT_TEXT.search(name):
        raise Rejected.at(place(path), f"A field's name: {SENTENCE}")
    if len(name) > LONGEST_NAME:
        raise Rejected.at(place(path), f"A field's name has more than {LONGEST_NAME} characters.")


def _too_many() -> Exception:
    return Rejected.at("body", f"The body holds more than {MOST_VALUES:,} values.")


def _too_deep() -> Exception:
    return Rejected.at("body", f"The body is nested more than {DEEPEST} levels deep.")


def _whole_number(digits: str) -> int:
    if len(digits) > LONGEST_NUMBER:
        raise Rejected.at("body", f"The body holds a number of more than {LONGEST_NUMBER} digits.")
    return int(digits)


def _no_number(word: str) -> NoReturn:
    raise Rejected.at("body", f"The body is not JSON: {word} is no number there.")
