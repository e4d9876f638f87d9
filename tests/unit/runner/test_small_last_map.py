"""A teacher whose last map has one position teaches under DPK, through a real runner."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from dpk_core.catalogue.datasets import dataset_card
from dpk_core.protocol import Finished
from dpk_core.recipes import recipe
from tests.unit.catalogue.npz_files import write_npz
from tests.unit.runner.conversation import Runner, command, measurements


def test_resnet18_teaches_resnet8_on_pictures_of_32(alone: Runner, tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    pictures = {
        f"x_{part}": chance.integers(0, 256, (n, 32, 32, 3), np.uint8) for part, n in (("train", 60), ("test", 12))
    }
    write_npz(tmp_path, **pictures)
    card = dataset_card("npz/made", tmp_path, "dataset")
    given: dict[str, Any] = {
        "dataset": card.name, "fingerprint": card.fingerprint, "data_root": tmp_path,
        "recipe": recipe("small", epochs=1, batch_size=8),
    }  # fmt: skip
    prepared = alone.run(command(tmp_path, "teacher", role="teacher", model="timm/resnet18", **given))[-1]
    assert isinstance(prepared, Finished), prepared
    taught = alone.run(
        command(
            tmp_path, model="cifar/resnet8", method="dpk", teacher=prepared.result.weights,
            teacher_model="timm/resnet18", **given,
        )
    )  # fmt: skip
    assert isinstance(taught[-1], Finished), taught[-1]
    (measured,) = measurements(taught)
    for stage in ("last", "second_last"):
        assert 0 < measured[f"share.{stage}"] <= 1
    assert math.isfinite(measured["loss_features"])
    assert measured["loss_features"] > 0
