"""The index of a detection data set: all that training and evaluation need of its annotation files, as arrays.

It is stored as `.npz` without pickles. Shapes: N pictures, M boxes, C classes.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpk_core.catalogue.detection.faults import Fault
from dpk_core.codec import WrongValue, from_json, to_json
from dpk_core.errors import DataFault

INDEX_VERSION = 1
"""Raise it when a change reads, splits or numbers annotations otherwise. Part of every fingerprint."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SplitIndex:
    """Pictures of one split and their boxes, in the order of pictures.

    `names_N`: paths from the data set's folder, as the file system's bytes. `picture_ids_N`: numbers or text as the
    annotation file gives them, in JSON. `box_ids_M`: likewise, for people. `sizes_N2`: height and width in pixels of
    the picture that the boxes are given in. `first_N1`: picture n has the boxes `first_N1[n]` … `first_N1[n + 1] - 1`.
    `boxes_M4`: left, top, right, bottom in pixels. `classes_M`: 0 … C-1. `areas_M`: of the object in square pixels,
    which AP by size goes by.
    """

    names_N: NDArray[np.bytes_]
    picture_ids_N: NDArray[np.str_]
    sizes_N2: NDArray[np.int32]
    first_N1: NDArray[np.int64]
    boxes_M4: NDArray[np.float32]
    classes_M: NDArray[np.int32]
    crowd_M: NDArray[np.bool_]
    areas_M: NDArray[np.float64]
    box_ids_M: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.names_N)

    @property
    def pictures_M(self) -> NDArray[np.int64]:
        """The picture of each box."""
        return np.repeat(np.arange(len(self)), np.diff(self.first_N1))

    def name(self, picture: int) -> str:
        """Path of a picture from the data set's folder."""
        return os.fsdecode(bytes(self.names_N[picture]))

    def chosen(self, pictures_K: NDArray[np.int64]) -> SplitIndex:
        """These pictures with their boxes."""
        counts_K = np.diff(self.first_N1)[pictures_K]
        first_K1 = np.concatenate([[0], np.cumsum(counts_K)]).astype(np.int64)
        boxes = np.arange(first_K1[-1]) + np.repeat(self.first_N1[pictures_K] - first_K1[:-1], counts_K)
        return SplitIndex(
            names_N=self.names_N[pictures_K], picture_ids_N=self.picture_ids_N[pictures_K],
            sizes_N2=self.sizes_N2[pictures_K], first_N1=first_K1, boxes_M4=self.boxes_M4[boxes],
            classes_M=self.classes_M[boxes], crowd_M=self.crowd_M[boxes], areas_M=self.areas_M[boxes],
            box_ids_M=self.box_ids_M[boxes],
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DetectionIndex:
    """A detection data set with its three splits, `train`, `validation` and `test`.

    `category_ids`: the annotation files' numbers of the classes, for results in COCO's format. `held_out`: splits that
    are not on disk and come out of another. `faults`: what is wrong with the files; the splits hold only boxes that
    can be used.
    """

    classes: tuple[str, ...]
    category_ids: tuple[int, ...]
    splits: Mapping[str, SplitIndex]
    held_out: tuple[str, ...]
    faults: tuple[Fault, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Document:
    version: int
    classes: tuple[str, ...]
    category_ids: tuple[int, ...]
    splits: tuple[str, ...]
    held_out: tuple[str, ...]
    faults: tuple[Fault, ...]


def to_bytes(index: DetectionIndex) -> bytes:
    """The index as an `.npz` file."""
    document = _Document(
        version=INDEX_VERSION, classes=index.classes, category_ids=index.category_ids, splits=tuple(index.splits),
        held_out=index.held_out, faults=index.faults,
    )  # fmt: skip
    arrays: dict[str, NDArray[Any]] = {
        f"{split}.{field.name}": getattr(found, field.name)
        for split, found in index.splits.items()
        for field in fields(SplitIndex)
    }
    arrays["document"] = np.frombuffer(json.dumps(to_json(document)).encode(), np.uint8)
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()


def from_bytes(content: bytes) -> DetectionIndex:
    """What `to_bytes` was given. Raises DataFault for anything else."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            document = from_json(_Document, json.loads(arrays["document"].tobytes()))
            splits = {
                split: SplitIndex(**{field.name: arrays[f"{split}.{field.name}"] for field in fields(SplitIndex)})
                for split in document.splits
            }
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, WrongValue) as error:
        raise DataFault("The stored index of the data set is damaged; delete it, and it is made again.") from error
    return DetectionIndex(
        classes=document.classes, category_ids=document.category_ids, splits=splits, held_out=document.held_out,
        faults=document.faults,
    )  # fmt: skip
