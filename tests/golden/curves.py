"""Short training curves that a refactor must reproduce.

After a change that is meant to alter the numbers (and raises TRAINING_VERSION), record them anew:
`python -m tests.golden.curves`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from dpk_core.recipes import recipe
from dpk_core.spec import MethodName
from dpk_core.training.loop import train
from tests.unit.training.tiny import METHODS, Watcher, deterministic, digits, spec, start

RECORDED = Path(__file__).with_name("curves.json")
RECIPE = replace(recipe("digits", epochs=2), batch_size=128)
STEPS = 898 // 128
"""Steps of an epoch."""

Curve = list[dict[str, float]]


def curve(method: MethodName) -> Curve:
    """Everything measured in two epochs of the student under `method`."""
    watcher = Watcher()
    train(start(spec(method, recipe=RECIPE), digits()), 2, watcher)
    return watcher.epochs


def record() -> None:
    """Writes the curves of this machine."""
    with deterministic():
        RECORDED.write_text(json.dumps({method: curve(method) for method in METHODS}, indent=1) + "\n")


if __name__ == "__main__":
    record()
