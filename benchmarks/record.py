"""How a benchmark's result is committed: what ran, where, and how it stands to its targets."""

from __future__ import annotations

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


def by_key(path: Path) -> dict[str, dict[str, Any]]:
    """What is kept in a file of JSON lines, by each line's `key`; nothing where there is no file."""
    lines = path.read_text().splitlines() if path.exists() else []
    return {row["key"]: row for row in map(json.loads, lines)}
