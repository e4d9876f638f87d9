"""Fixed, stratified splits. A split belongs to the data set, never to a run: all runs of all jobs see the same one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SPLIT_VERSION = 1
"""Part of every fingerprint. Raise it when a change moves a picture from one split to another."""

SPLIT_SEED = 2206_06067

Indices = NDArray[np.int64]


def fingerprint(content: str) -> str:
    """Identity of a data set: its content (scheme and 64 hex digits) and the way it is split."""
    return f"{content}/split-{SPLIT_VERSION}"


def stratified(labels: NDArray[np.int64], shares: Sequence[float]) -> tuple[Indices, ...]:
    """Splits each class's pictures by `shares`; the last part takes the remainder.

    Returns `len(shares) + 1` disjoint sorted arrays of positions that together cover all of `labels`. Each class gives
    `round(share · count)` pictures to each part. The legacy generator is used because its stream is frozen for good
    (NEP 19), so a split is the same with every numpy.
    """
    chance = np.random.RandomState(SPLIT_SEED)
    parts: list[list[Indices]] = [[] for _ in range(len(shares) + 1)]
    for label in np.unique(labels):
        members = chance.permutation(np.flatnonzero(labels == label))
        ends = np.cumsum([round(share * len(members)) for share in shares])
        for part, chosen in zip(parts, np.split(members, ends), strict=True):
            part.append(chosen)
    return tuple(np.sort(np.concatenate(part)) if part else np.empty(0, np.int64) for part in parts)
