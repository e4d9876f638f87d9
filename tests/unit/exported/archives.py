"""Archives of exported networks, taken apart and put together otherwise."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dpk_core.exported.archive import GRAPH, WEIGHTS
from tests.unit.exported.networks import excited

ROOT = "excited"

Members = dict[str, bytes]
Change = Callable[[Members], None]


def members() -> Members:
    """The members of a sound file, by path without the root folder."""
    with zipfile.ZipFile(io.BytesIO(excited()[1])) as file:
        return {name.partition("/")[2]: file.read(name) for name in file.namelist()}


def write(file: Path, content: Members) -> Path:
    with zipfile.ZipFile(file, "w") as target:
        for name, data in content.items():
            target.writestr(f"{ROOT}/{name}", data)
    return file


def edited(name: str, change: Callable[[Any], object]) -> Change:
    """Changes one JSON member."""

    def apply(content: Members) -> None:
        document = json.loads(content[name])
        change(document)
        content[name] = json.dumps(document).encode()

    return apply


def graph(change: Callable[[Any], object]) -> Change:
    return edited(GRAPH, lambda document: change(document["graph_module"]["graph"]))


def node(target: str, **arguments: Any) -> Change:
    """Replaces the first node by a call of `target`."""

    def apply(found: Any) -> None:
        found["nodes"][0]["target"] = target
        if arguments:
            found["nodes"][0]["inputs"] = [{"name": name, "arg": each, "kind": 1} for name, each in arguments.items()]

    return graph(apply)


def renamed(old: str, new: str) -> Callable[[Any], None]:
    def apply(found: Any) -> None:
        for each in found["nodes"]:
            each["target"] = new if each["target"] == old else each["target"]

    return apply


def weight(change: Callable[[Any], object], name: str = "head.weight") -> Change:
    return edited(WEIGHTS, lambda document: change(document["config"][name]))


def signature(change: Callable[[Any], object]) -> Change:
    return edited(GRAPH, lambda document: change(document["graph_module"]["signature"]))


def batch_size(text: str) -> Change:
    expression = {"as_expr": {"expr_str": text, "hint": None}}
    return graph(lambda found: found["tensor_values"]["pictures"]["sizes"].__setitem__(0, expression))


def put(name: str, content: bytes) -> Change:
    return lambda found: found.__setitem__(name, content)


def drop(name: str) -> Change:
    return lambda found: found.pop(name) and None
