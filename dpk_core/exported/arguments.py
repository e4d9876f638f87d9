"""Arguments of a graph's nodes, from torch.export's JSON to the forms of `program.py`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from dpk_core.exported.archive import Refused
from dpk_core.exported.tensors import DTYPES

_TEXT = re.compile(r"[A-Za-z0-9 ,.>_\-]{0,120}")
_MEMORY_FORMATS = {1: "contiguous_format", 2: "channels_last", 4: "preserve_format"}
_FLOATS = {"Infinity": math.inf, "-Infinity": -math.inf, "NaN": math.nan}


def argument(given: Mapping[str, Any], values: Mapping[str, int]) -> list[Any]:
    """One argument. `values`: the numbers of the values that are known here, by the graph's names. Raises Refused."""
    (kind, content), *others = given.items()
    if others:
        raise Refused("an argument in its graph is of two kinds at once")
    match kind:
        case "as_none":
            return ["plain", None]
        case "as_tensor" | "as_optional_tensor" if isinstance(content, dict) and "name" in content:
            return ["value", _value(content["name"], values)]
        case "as_optional_tensor":
            return argument(content, values)
        case "as_int" | "as_float" | "as_bool" | "as_string":
            return ["plain", _plain(kind, content)]
        case "as_sym_int" | "as_sym_float" | "as_sym_bool":
            return _symbolic(content, values)
        case "as_ints" | "as_floats" | "as_bools":
            return ["list", [["plain", _plain(kind[:-1], each)] for each in _list(content)]]
        case "as_sym_ints":
            return ["list", [_symbolic(each, values) for each in _list(content)]]
        case "as_tensors":
            return ["list", [["value", _value(each["name"], values)] for each in _list(content)]]
        case "as_optional_tensors":
            return ["list", [argument(each, values) for each in _list(content)]]
        case "as_scalar_type" if content in DTYPES:
            return ["dtype", DTYPES[content][0]]
        case "as_memory_format" if content in _MEMORY_FORMATS:
            return ["memory_format", _MEMORY_FORMATS[content]]
        case "as_layout" if content == 7:
            return ["plain", None]
        case "as_device":
            return ["device"]
    raise Refused(f"its graph has an argument of the kind {kind[:40]!r}, which is not taken")


def output_names(given: Mapping[str, Any]) -> list[str | None] | str | None:
    """What an output of a node is called; a list for a list of tensors, None for what is not there."""
    (kind, content), *others = given.items()
    if not others:
        match kind:
            case "as_tensor":
                return _name(content["name"])
            case "as_tensors":
                return [_name(each["name"]) for each in _list(content)]
            case "as_sym_int" | "as_sym_bool" | "as_sym_float":
                return _name(content["as_name"])
            case "as_none":
                return None
    raise Refused(f"its graph has an output of the kind {kind[:40]!r}, which is not taken")


def _symbolic(content: Mapping[str, Any], values: Mapping[str, int]) -> list[Any]:
    if "as_name" in content:
        return ["value", _value(content["as_name"], values)]
    (kind, number), *_ = content.items()
    return ["plain", _plain(kind, number)]


def _plain(kind: str, content: Any) -> Any:
    if kind == "as_float" and content in _FLOATS:
        return _FLOATS[content]
    wanted = {"as_int": int, "as_float": float | int, "as_bool": bool, "as_string": str}[kind]
    if not isinstance(content, wanted) or (kind != "as_bool" and isinstance(content, bool)):
        raise Refused(f"an argument in its graph is no {kind.removeprefix('as_')}")
    if isinstance(content, str) and not _TEXT.fullmatch(content):
        raise Refused(f"its graph has the text {content[:40]!r} as an argument")
    if isinstance(content, int) and abs(content) >= 2**63:
        raise Refused("a number in its graph has more than 64 bits")
    return content


def _value(name: Any, values: Mapping[str, int]) -> int:
    if name not in values:
        raise Refused(f"its graph uses {str(name)[:80]!r} before anything gives it")
    return values[name]


def _name(name: Any) -> str:
    if not isinstance(name, str):
        raise Refused("a value in its graph has no name")
    return name


def _list(content: Any) -> list[Any]:
    if not isinstance(content, list):
        raise Refused("an argument in its graph is no list")
    return content
