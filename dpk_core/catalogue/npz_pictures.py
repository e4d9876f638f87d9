"""What is found out about the pictures of an `.npz` data set, once per state of its file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dpk_core.catalogue.content import file_digest, file_state, remembered, state_key
from dpk_core.catalogue.copies import Copies, count_copies, picture_ids
from dpk_core.catalogue.npz import UNREADABLE, NpzLayout, read_layout
from dpk_core.catalogue.samples import Sample, sample_arrays
from dpk_core.catalogue.splits import stratified
from dpk_core.catalogue.splitting import VALIDATION_SHARE, Parts, SplitPositions
from dpk_core.codec import from_json, to_json
from dpk_core.errors import DataFault

MOST_BYTES = 2**31
"""Of one array of pictures, beyond which they are not looked at one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NpzFacts:
    """`content`: scheme and digest. `copies`: None where the pictures are too many to be compared."""

    content: str
    copies: Copies | None


def npz_parts(name: str, layout: NpzLayout) -> Parts:
    """The splits of a file. Raises DataFault, naming it, when there are too few pictures to hold any out."""
    validation, train = stratified(layout.train_labels, [VALIDATION_SHARE])
    if not len(validation):
        raise DataFault(f"{name}: too few training pictures to hold {VALIDATION_SHARE:.0%} out for validation.")
    test = np.arange(len(layout.test_labels))
    return Parts(
        train=SplitPositions("train", train),
        validation=SplitPositions("train", validation),
        test=SplitPositions("test", test),
    )


def npz_facts(path: Path, layout: NpzLayout, parts: Parts) -> NpzFacts:
    """Facts of a file whose layout is sound. Raises DataFault when its pictures cannot be read."""
    key = state_key(path.parent, [file_state(path.parent, path.name)])
    found = remembered("npz", key, lambda: dict(to_json(_find_out(path, layout, parts))))
    return from_json(NpzFacts, found)


def npz_samples(path: Path) -> tuple[Sample, ...]:
    """A few training pictures; none where they are too many to be looked at. Raises DataFault."""
    layout = read_layout(path)
    if _bytes(layout) > MOST_BYTES:
        return ()
    train = npz_parts(path.name, layout).train
    return sample_arrays(_pictures(path, "x_train"), layout.train_labels, train, layout.names)


def _find_out(path: Path, layout: NpzLayout, parts: Parts) -> NpzFacts:
    content = f"sha256:{file_digest(path)}"
    if _bytes(layout) > MOST_BYTES:
        return NpzFacts(content=content, copies=None)
    ids = {split: _ids(_pictures(path, f"x_{split}")) for split in ("train", "test")}
    labels: Mapping[str, NDArray[np.int64]] = {"train": layout.train_labels, "test": layout.test_labels}
    copies = count_copies(ids, labels, parts, lambda split, position: f"x_{split}[{position}]")
    return NpzFacts(content=content, copies=copies)


def _bytes(layout: NpzLayout) -> int:
    return max(len(layout.train_labels), len(layout.test_labels)) * layout.channels * layout.side**2


def _pictures(path: Path, name: str) -> NDArray[np.uint8]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return np.asarray(arrays[name], np.uint8)
    except UNREADABLE as error:
        raise DataFault(f"{path.name} cannot be read as an .npz file of plain arrays: {error!s:.200}.") from error


def _ids(pictures: NDArray[np.uint8]) -> NDArray[np.uint64]:
    content, length = np.ascontiguousarray(pictures).data.cast("B"), pictures[0].nbytes
    digests = (hashlib.sha256(content[place : place + length]).digest() for place in range(0, len(content), length))
    return picture_ids(digests)
