"""How a benchmark's result is committed: what ran, where, and how it stands to its targets."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.metadata
import json
import os
import platform
from pathlib import Path
from typing import Any

import torch

RESULTS = Path(__file__).parent / "results"
LIBRARIES = ("torch", "torchvision", "timm", "numpy")


def machine(device: torch.device) -> str:
    """The machine in words."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, {os.cpu_count()} CPU cores"
    return f"{platform.machine()}, {os.cpu_count()} cores, CPU only, {torch.get_num_threads()} thread(s)"


def versions() -> dict[str, str]:
    """Of everything that can change a number."""
    found = {name: importlib.metadata.version(name) for name in LIBRARIES}
    return {"python": platform.python_version(), **found}


def target(name: str, value: float, limit: float, unit: str) -> dict[str, Any]:
    """A target that is met when `value` is at most `limit`."""
    return {"name": name, "value": round(value, 4), "target": limit, "unit": unit, "met": value <= limit}


def write(name: str, result: dict[str, Any]) -> Path:
    """Replaces the result `name`, all at once."""
    path = RESULTS / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    partial.replace(path)
    return path


def made_by(*modules: str, data: Path | None = None) -> str:
    """A hash of the package's selection code, of these modules of `benchmarks` and of a file of data: rows that were
    kept under another one would be others today. Comments and docstrings change nothing."""
    digest = hashlib.sha256(_code(modules).encode())
    if data is not None:
        digest.update(data.read_bytes())
    return digest.hexdigest()[:12]


@functools.cache
def _code(modules: tuple[str, ...]) -> str:
    root = Path(__file__).parents[1]
    sources = sorted(root.glob("dpk_core/selection/**/*.py"))
    sources += [root / "dpk_core" / f"{module}.py" for module in ("randomness", "tasks")]
    sources += [root / "benchmarks" / f"{module}.py" for module in modules]
    return "\n".join(map(_without_words, sources))


def _without_words(source: Path) -> str:
    tree = ast.parse(source.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [each for each in node.body if not _is_text(each)]
    return ast.dump(tree)


def _is_text(statement: ast.stmt) -> bool:
    value = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def by_key(path: Path) -> dict[str, dict[str, Any]]:
    """What is kept in a file of JSON lines, by each line's `key`; nothing where there is no file."""
    lines = path.read_text().splitlines() if path.exists() else []
    return {row["key"]: row for row in map(json.loads, lines)}
