"""The three splits of a detection data set where fewer are on disk.

| on disk | validation | test |
|---|---|---|
| all three | as on disk | as on disk |
| train, validation | one half of the validation pictures | the other half |
| train, test | a fifth of the training pictures, at most `MOST_HELD_OUT` | as on disk |
| train | a fifth of the training pictures, likewise | another fifth |

Which pictures: those whose names have the smallest hashes. So pictures with the same file stay together, and adding
pictures moves few others. COCO brings train and validation, and reports on validation: its numbers here are on halves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dpk_core.catalogue.detection.index import SplitIndex
from dpk_core.catalogue.splits import SPLIT_SEED
from dpk_core.catalogue.splitting import VALIDATION_SHARE
from dpk_core.errors import DataFault

MOST_HELD_OUT = 5000
"""Pictures that a split held out of training has at most, as COCO's validation has."""


def complete(name: str, on_disk: Mapping[str, SplitIndex]) -> tuple[dict[str, SplitIndex], tuple[str, ...]]:
    """The splits train, validation and test, and which of them are not on disk.

    Raises DataFault for too few pictures.
    """
    splits = dict(on_disk)
    held_out = tuple(split for split in ("validation", "test") if split not in splits)
    if held_out == ("test",):
        splits["test"], splits["validation"] = _cut(splits["validation"], 0.5)
    else:
        whole = len(splits["train"])
        for split in held_out:
            # A fifth of what was there at first, also for the second one.
            wanted = min(VALIDATION_SHARE * whole, MOST_HELD_OUT)
            splits[split], splits["train"] = _cut(splits["train"], wanted / max(1, len(splits["train"])))
    for split, found in splits.items():
        if not len(found):
            raise DataFault(f"{name}: too few pictures for the three splits; {split} has none.")
    return {split: splits[split] for split in ("train", "validation", "test")}, held_out


def _cut(split: SplitIndex, share: float) -> tuple[SplitIndex, SplitIndex]:
    """The pictures with the smallest hashes, and the others; each in the split's order."""
    ranks_N = _ranks(split.names_N)
    taken_N = ranks_N < round(share * (int(ranks_N.max(initial=-1)) + 1))
    return split.chosen(np.flatnonzero(taken_N)), split.chosen(np.flatnonzero(~taken_N))


def _ranks(names_N: NDArray[np.bytes_]) -> NDArray[np.int64]:
    """Place of each name by its hash; equal names have one place."""
    hashes_N = np.array([hashlib.sha256(b"%d:%b" % (SPLIT_SEED, bytes(name))).digest() for name in names_N])
    return np.unique(hashes_N, return_inverse=True)[1].astype(np.int64)
