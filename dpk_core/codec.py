"""Frozen dataclasses to JSON and back, strictly: unknown or missing names and wrong types are errors.

pydantic would do this, but the plain core must run where only torch and numpy are installed (decision 0003).
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
import re
import sys
import types
import typing
from collections.abc import Iterable
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")

Json = Any
"""What `json.loads` returns."""


class WrongValue(ValueError):
    """A JSON value that its dataclass cannot take. `place`: where it stands, as `training.recipe.epochs`."""

    def __init__(self, place: str, message: str) -> None:
        super().__init__(f"{place}: {message}")
        self.place = place
        self.message = message


def strict_json(text: str) -> Json:
    """What JSON text says. Raises ValueError also where a name is twice in an object, for NaN and infinity, which are
    no JSON, and for numbers that no float can hold."""
    return json.loads(text, object_pairs_hook=_once, parse_constant=_no_number, parse_float=_finite)


def to_json(value: object) -> Json:
    """Turns a dataclass (or tuple, mapping, scalar) into JSON-able values; tuples become lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    if isinstance(value, dict):
        return {str(key): to_json(item) for key, item in value.items()}
    assert value is None or isinstance(value, str | int | float | bool), type(value)
    return value


def from_json(kind: type[T], value: Json, where: str = "") -> T:
    """Builds a dataclass from JSON values.

    Raises WrongValue for an unknown or missing name, a wrong type, and what a dataclass itself refuses.
    """
    return typing.cast(T, _decode(kind, value, where or kind.__name__))


def merged(base: Json, changes: Json) -> Json:
    """`base` with the values of `changes` in place of its own; objects are merged name by name, lists replaced."""
    if not isinstance(base, dict) or not isinstance(changes, dict):
        return changes
    return {**base, **{name: merged(base.get(name), value) for name, value in changes.items()}}


def differences(value: object, base: object) -> dict[str, Json]:
    """The fields of a dataclass that differ from those of `base`, of the same class: their values by dotted name."""
    assert dataclasses.is_dataclass(value)
    found: dict[str, Json] = {}
    for field in dataclasses.fields(value):
        mine, other = getattr(value, field.name), getattr(base, field.name)
        if dataclasses.is_dataclass(mine) and type(mine) is type(other):
            found |= {f"{field.name}.{name}": each for name, each in differences(mine, other).items()}
        elif mine != other:
            found[field.name] = to_json(mine)
    return found


def content_key(value: object) -> str:
    """SHA-256 of the canonical JSON form, as 64 hex digits: equal content, equal key, on every machine."""
    text = json.dumps(to_json(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _once(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is there twice")
    return found


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"no float holds {number}")
    return value


def _decode(kind: Any, value: Json, where: str) -> Any:
    if kind is Any:
        return value
    origin = typing.get_origin(kind)
    if origin is typing.Union or origin is types.UnionType:
        return _decode_union(typing.get_args(kind), value, where)
    if origin is typing.Literal:
        if value not in typing.get_args(kind):
            raise WrongValue(where, f"{value!r} is not one of {', '.join(map(repr, typing.get_args(kind)))}")
        return value
    if origin is tuple:
        if not isinstance(value, list):
            raise WrongValue(where, f"expected a list, not {type(value).__name__}")
        return tuple(_decode(typing.get_args(kind)[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict):
            raise WrongValue(where, f"expected an object, not {type(value).__name__}")
        return {key: _decode(typing.get_args(kind)[1], item, f"{where}.{key}") for key, item in value.items()}
    if dataclasses.is_dataclass(kind):
        return _decode_dataclass(typing.cast(Any, kind), value, where)
    if kind is float and type(value) is int:
        value = float(value) if abs(value) <= sys.float_info.max else math.inf
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise WrongValue(where, f"expected {kind.__name__}, not {type(value).__name__}")
    if kind is float and not math.isfinite(value):
        raise WrongValue(where, "expected a finite number")
    return value


def _decode_union(choices: tuple[Any, ...], value: Json, where: str) -> Any:
    if value is None and types.NoneType in choices:
        return None
    concrete = [choice for choice in choices if choice is not types.NoneType]
    for choice in concrete[:-1]:
        try:
            return _decode(choice, value, where)
        except ValueError:
            continue
    return _decode(concrete[-1], value, where)


def _decode_dataclass(kind: Any, value: Json, where: str) -> Any:
    if not isinstance(value, dict):
        raise WrongValue(where, f"expected an object, not {type(value).__name__}")
    hints, required = _fields(kind)
    if unknown := sorted(value.keys() - hints.keys()):
        raise WrongValue(where, f"unknown name {unknown[0]!r}")
    for name in required:
        if name not in value:
            raise WrongValue(where, f"{name!r} is missing")
    values = {name: _decode(hints[name], item, f"{where}.{name}") for name, item in value.items()}
    try:
        return kind(**values)
    except ValueError as error:
        raise WrongValue(_place(str(error), where, hints), str(error)) from None


@functools.cache
def _fields(kind: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The types of a dataclass's fields, and which have no default. Resolving the annotations takes most of the time of
    decoding a value, so it is done once a class."""
    hints, fields, missing = typing.get_type_hints(kind), dataclasses.fields(kind), dataclasses.MISSING
    required = tuple(each.name for each in fields if each.default is missing and each.default_factory is missing)
    return {each.name: hints[each.name] for each in fields}, required


def _place(message: str, where: str, names: Iterable[str]) -> str:
    """The field that `__post_init__` refuses: by convention the first one that its message names."""
    words = message.replace(" ", "_")
    found = {match.start(): name for name in names if (match := re.search(rf"(?<![a-z]){name}(?![a-z])", words))}
    return f"{where}.{found[min(found)]}" if found else where
