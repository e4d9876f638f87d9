"""Trainings of seconds: a source of grey pictures, and a work folder of the test's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks import subsets


def write_source(path: Path, classes: Sequence[str], shades: Sequence[int]) -> None:
    """A source of 8x8 pictures whose classes differ in brightness."""
    chance = np.random.Generator(np.random.PCG64(0))

    def pictures(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        noise = chance.integers(0, 100, (len(labels), 8, 8))
        return (noise + np.array(shades)[labels][:, None, None]).astype(np.uint8)

    train, test = (np.arange(count, dtype=np.uint8) % len(classes) for count in (200, 40))
    np.savez(
        path, x_train=pictures(train), y_train=train, x_test=pictures(test), y_test=test, classes=np.array(classes)
    )


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of two sources, of two classes (`source`) and of five (`five`)."""
    write_source(tmp_path / "source.npz", ("dark", "light"), (0, 100))
    write_source(tmp_path / "five.npz", list("abcde"), (0, 35, 70, 105, 140))
    monkeypatch.setenv("DPK_DATA_ROOT", str(tmp_path))
    monkeypatch.setattr(subsets, "WORK", tmp_path / "work")
    return tmp_path
