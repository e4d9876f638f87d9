"""Sizes of pictures by their headers, beside those that the annotation files give."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dpk_core.catalogue.detection.raw import RawSplit
from dpk_core.catalogue.headers import SIDEWAYS, check_header, exif_mark, open_picture
from dpk_core.catalogue.splits import SPLIT_SEED
from dpk_core.errors import DataFault

LOOKED_AT = 2000
"""Pictures of a split of large data whose headers are compared with the annotation file."""


def check_sizes(folder: Path, raw: RawSplit, *, sampled: bool) -> None:
    """Fills in sizes that are missing and counts pictures that cannot be read or have another size.

    `sampled`: of pictures with a size only `LOOKED_AT` are opened.
    """
    unknown_N = (raw.sizes_N2 == 0).any(1)
    raw.log_pictures("size_missing", unknown_N)
    looked_at = np.arange(len(raw.names))
    if sampled and len(looked_at) > LOOKED_AT:
        chosen = np.random.RandomState(SPLIT_SEED).permutation(len(looked_at))[:LOOKED_AT]
        looked_at = np.union1d(chosen, np.flatnonzero(unknown_N))
    upright_N2, stored_N2 = upright_and_stored(folder, raw, looked_at)
    known_N = (upright_N2 > 0).all(1)
    differs_N = known_N & ~unknown_N & (raw.sizes_N2 != upright_N2).any(1)
    turned_N = differs_N & (raw.sizes_N2 == stored_N2).all(1)
    wrong_N = differs_N & ~turned_N
    raw.log_pictures("size_turned", turned_N)
    if wrong_N.any():
        first = int(wrong_N.argmax())
        raw.log_pictures(
            "size_differs", wrong_N, f"{_size_text(raw.sizes_N2[first])}, the file has {_size_text(upright_N2[first])}"
        )
    raw.sizes_N2[unknown_N] = upright_N2[unknown_N]


def upright_and_stored(
    folder: Path, raw: RawSplit, pictures: Iterable[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Heights and widths (N x 2 each) of these pictures once turned upright, and as they are stored; 0 for all others.

    Counts those that cannot be read.
    """
    upright_N2, stored_N2 = np.zeros((2, len(raw.names), 2))
    for picture in pictures:
        name = raw.names[picture]
        try:
            header = check_header(name, folder / name)
        except DataFault as fault:
            raw.faults.add("undecodable", name, example=str(fault))
            continue
        upright_N2[picture] = header.height, header.width
        stored_N2[picture] = header.height, header.width
        if header.turned:
            with open_picture(name, folder / name) as opened:
                if exif_mark(opened) in SIDEWAYS and opened.format != "TIFF":
                    stored_N2[picture] = header.width, header.height
    return upright_N2, stored_N2


def _size_text(size_2: NDArray[np.float64]) -> str:
    return f"{size_2[1]:g} x {size_2[0]:g} px"
