"""The three splits of a detection data set where fewer are on disk.

| on disk | validation | test |
|---|---|---|
| all three | as on disk | as on disk |
| train, validation | one half of the validation pictures | the other half |
| train, test | a fifth of the training pictures, at most `MOST_HELD_OUT` | as on disk |
| train | a fifth of the training pictures, likewise | another fifth |

Which pictures: those whose names have the smallest hashes, and with them their copies. So adding pictures moves few
others. COCO brings train and validation, and reports on validation: its numbers here are on halves.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from dpk_core.catalogue.detection.index import SplitIndex
from dpk_core.catalogue.splits import SPLIT_SEED
from dpk_core.catalogue.splitting import VALIDATION_SHARE
from dpk_core.errors import DataFault

MOST_HELD_OUT = 5000
"""Pictures that a split held out of training has at most, as COCO's validation has."""


def missing_splits(on_disk: Collection[str]) -> tuple[str, ...]:
    """The splits that have to come out of another."""
    return tuple(split for split in ("validation", "test") if split not in on_disk)


def cut_split(on_disk: Collection[str]) -> str:
    """The split that the missing ones come out of; empty where none is missing."""
    missing = missing_splits(on_disk)
    return "" if not missing else "validation" if missing == ("test",) else "train"


def complete(name: str, on_disk: Mapping[str, SplitIndex], originals: Mapping[str, str]) -> dict[str, SplitIndex]:
    """The splits train, validation and test. `originals`: by the name of a copy, that of the picture it is a copy of.

    Raises DataFault for too few pictures.
    """
    splits = dict(on_disk)
    if cut_split(on_disk) == "validation":
        splits["test"], splits["validation"] = _cut(splits["validation"], 0.5, originals)
    else:
        whole = len(splits["train"])
        for split in missing_splits(on_disk):
            # A fifth of what was there at first, also for the second one.
            wanted = min(VALIDATION_SHARE * whole, MOST_HELD_OUT)
            splits[split], splits["train"] = _cut(splits["train"], wanted / max(1, len(splits["train"])), originals)
    for split, found in splits.items():
        if not len(found):
            raise DataFault(f"{name}: too few pictures for the three splits; {split} has none.")
    return {split: splits[split] for split in ("train", "validation", "test")}


def _cut(split: SplitIndex, share: float, originals: Mapping[str, str]) -> tuple[SplitIndex, SplitIndex]:
    """The pictures with the smallest hashes, and the others; each in the split's order."""
    names = [split.name(picture) for picture in range(len(split))]
    ranks_N = _ranks([os.fsencode(originals.get(name, name)) for name in names])
    taken_N = ranks_N < round(share * (int(ranks_N.max(initial=-1)) + 1))
    return split.chosen(np.flatnonzero(taken_N)), split.chosen(np.flatnonzero(~taken_N))


def _ranks(names: Sequence[bytes]) -> NDArray[np.int64]:
    """Place of each name by its hash; equal names have one place."""
    hashes_N = np.array([hashlib.sha256(b"%d:%b" % (SPLIT_SEED, name)).digest() for name in names])
    return np.unique(hashes_N, return_inverse=True)[1].astype(np.int64)
