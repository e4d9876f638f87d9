"""Data set cards: what pre-flight must know before anything is loaded. No torch.

`digits` is scikit-learn's; every `<name>.npz` under the data root (`x_train, y_train, x_test, y_test, classes`) is the
data set `npz/<name>`.
"""

from __future__ import annotations

import difflib
import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dpk_core.errors import DataFault, InvalidRequest

DIGITS_FINGERPRINT = "sha256:to-be-pinned"
VALIDATION_SHARE = 0.2
"""Part of the training pictures held out, stratified by class, where a data set brings no validation split."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetCard:
    """A data set by name. `fingerprint`: content hash. Pictures are `channels` x `side` x `side`."""

    name: str
    fingerprint: str
    classes: int
    channels: int
    side: int
    train_pictures: int
    validation_pictures: int
    test_pictures: int
    default_recipe: str


def dataset_names(data_root: Path | None) -> tuple[str, ...]:
    """Every data set that can be used with this data root, sorted."""
    found = sorted(data_root.glob("*.npz")) if data_root is not None else []
    return ("digits", *(f"npz/{path.stem}" for path in found))
