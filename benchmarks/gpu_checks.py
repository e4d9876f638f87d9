"""`tests/gpu` without pytest, a row for each check."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

PATH = Path(__file__).parents[1] / "tests" / "gpu" / "checks.py"
SMALL = ("streamed pictures arrive whole", "same bits twice: kd", "same step as on the CPU: dpk", "CKA in bfloat16")
NEEDS = {"graphs are replayed": 15.0, "compiled, reduce-overhead": 25.0, "compiled, default": 15.0}
"""Seconds, roughly, of those that compile; the others take next to none."""


def rows(device: torch.device, *, small: bool, until: float) -> Iterator[dict[str, Any]]:
    """A row for each check of `tests/gpu`. In small, one of each kind that can be had without a GPU."""
    checks = _load_checks()
    chosen = {name: checks.CHECKS[name] for name in SMALL} if small else checks.CHECKS
    for name, check in chosen.items():
        began = time.monotonic()
        if began + NEEDS.get(name, 0.0) > until:
            yield {"check": name, "skipped": "no time was left"}
            continue
        row: dict[str, Any] = {"check": name}
        try:
            checks.run(check, device)
        except Exception as error:  # a check that fails must not cost the others
            row["failed"] = f"{type(error).__name__}: {str(error)[:500]}"
        yield row | {"passed": "failed" not in row, "seconds": round(time.monotonic() - began, 1)}


def _load_checks() -> ModuleType:
    """By its path, as other libraries too install a package `tests`."""
    spec = importlib.util.spec_from_file_location("dpk_gpu_checks", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
