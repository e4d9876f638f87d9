"""Small `.npz` data sets written for a test, whole or broken in one place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np


def arrays(**changes: Any) -> dict[str, Any]:
    """A sound data set of three classes and 8x8 pictures, with some arrays replaced (None: left out)."""
    chance = np.random.default_rng(0)
    sound: dict[str, Any] = {
        "x_train": chance.integers(0, 256, (60, 8, 8), dtype=np.uint8),
        "y_train": np.arange(60, dtype=np.uint8) % 3,
        "x_test": chance.integers(0, 256, (12, 8, 8), dtype=np.uint8),
        "y_test": np.arange(12, dtype=np.uint8) % 3,
        "classes": np.array(["a", "b", "c"]),
    }
    return {name: array for name, array in (sound | changes).items() if array is not None}


def write_npz(folder: Path, name: str = "made", **changes: Any) -> Path:
    """Writes `arrays(**changes)` as `<folder>/<name>.npz`."""
    path = folder / f"{name}.npz"
    np.savez(path, **arrays(**changes))
    return path
