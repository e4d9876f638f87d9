"""Which pictures train, which decide and which are read once at the end, given the splits that are on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dpk_core.catalogue.splits import Indices, stratified
from dpk_core.errors import DataFault

VALIDATION_SHARE = 0.2
"""Part of the training pictures held out, stratified by class, where a data set brings no validation split."""

MOST_HELD_OUT = 50_000
"""Pictures that a split held out of picture files has at most: more would hardly narrow the intervals."""


@dataclass(frozen=True, slots=True)
class SplitPositions:
    """Pictures of one split: `positions` (sorted) in the split `origin` that is on disk."""

    origin: str
    positions: Indices

    def __len__(self) -> int:
        return len(self.positions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The three splits that every data set has in the end. No picture is in two of them."""

    train: SplitPositions
    validation: SplitPositions
    test: SplitPositions


def split_parts(name: str, labels: Mapping[str, NDArray[np.int64]]) -> Parts:
    """Completes what is on disk (`train`, perhaps `validation` and `test`) by holding pictures out of `train`.

    Validation and test pictures that are missing are each `VALIDATION_SHARE` of the training pictures, at most
    `MOST_HELD_OUT`. Raises DataFault, naming the data set, when a class is too small for that.
    """
    missing = [split for split in ("validation", "test") if split not in labels]
    share = min(VALIDATION_SHARE, MOST_HELD_OUT / len(labels["train"]))
    chosen = stratified(labels["train"], [share] * len(missing))
    parts = {split: SplitPositions(split, np.arange(len(found))) for split, found in labels.items()}
    parts |= {
        split: SplitPositions("train", positions) for split, positions in zip((*missing, "train"), chosen, strict=True)
    }
    for split in missing:
        if not len(parts[split]):
            raise DataFault(f"{name}: too few training pictures to hold {share:.0%} out for {split}.")
    return Parts(**parts)


def check_labels(where: str, labels: NDArray[np.int64], classes: int) -> None:
    """Raises DataFault, naming `where`, when a label is none of 0 … classes - 1."""
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(wrong):
        raise DataFault(
            f"{where}, row {wrong[0]}: the label is {labels[wrong[0]]}, but there are {classes} classes, "
            f"so it must be 0 … {classes - 1}."
        )


def check_every_class(name: str, labels: NDArray[np.int64], classes: tuple[str, ...]) -> None:
    """Raises DataFault when a class has no training picture."""
    if len(classes) < 2:
        raise DataFault(f"{name} has {len(classes)} class; there must be at least two.")
    if len(missing := np.setdiff1d(np.arange(len(classes)), labels)):
        raise DataFault(f"{name}: the class {classes[missing[0]]} has no training picture; every class needs some.")
