"""What a `.npz` data set promises, read from its headers and labels alone, and checked before anything is trained."""

from __future__ import annotations

import hashlib
import math
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dpk_core.errors import DataFault

MOST_DIMENSIONS = 32
"""numpy's own limit for a long time; no array here has more than four."""

ARRAYS = ("x_train", "y_train", "x_test", "y_test", "classes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The checked shape of a data set file. Labels are int64; pictures are `side` x `side` with `channels`."""

    side: int
    channels: int
    classes: int
    train_labels: NDArray[np.int64]
    test_labels: NDArray[np.int64]


def read_layout(path: Path) -> Layout:
    """Reads headers and labels of `path`. Raises DataFault with a sentence that says what is wrong with the file."""
    try:
        with zipfile.ZipFile(path) as archive:
            headers = {name: _header(archive, path, name) for name in ARRAYS}
        with np.load(path, allow_pickle=False) as arrays:
            raw_labels = {part: arrays[f"y_{part}"] for part in ("train", "test")}
    except DataFault:
        raise
    except Exception as error:  # a header that was made up can raise anything: numpy has Python's own parser read it
        reason = next(iter(str(error).splitlines()), "")[:200].rstrip(".") or type(error).__name__
        raise DataFault(f"{path.name} cannot be read as an .npz file of plain arrays: {reason}.") from error
    side, channels = _picture_shape(path, headers)
    classes = _class_count(path, *headers["classes"])
    labels = {
        part: _labels(path, f"y_{part}", values, headers[f"x_{part}"][0][0], classes)
        for part, values in raw_labels.items()
    }
    if len(missing := np.setdiff1d(np.arange(classes), labels["train"])):
        raise DataFault(
            f"{path.name}: class {missing[0]} of {classes} has no picture in x_train; every class needs some."
        )
    return Layout(
        side=side, channels=channels, classes=classes, train_labels=labels["train"], test_labels=labels["test"]
    )


def file_digest(path: Path) -> str:
    """SHA-256 of the file as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _header(archive: zipfile.ZipFile, path: Path, name: str) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
    try:
        member = archive.open(f"{name}.npy")
    except KeyError:
        raise DataFault(f"{path.name} holds no array {name}; it needs {', '.join(ARRAYS)}.") from None
    with member:
        version = np.lib.format.read_magic(member)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(member)
        begin = member.tell()
    if dtype.hasobject:
        return shape, dtype  # refused by whoever looks at it, in words of its own
    held = archive.getinfo(f"{name}.npy").file_size - begin
    if len(shape) > MOST_DIMENSIONS or min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != held:
        raise DataFault(f"{path.name}: {name} has the shape {str(shape)[:100]} of {dtype}, but {held} bytes.")
    return shape, dtype


def _picture_shape(path: Path, headers: dict[str, tuple[tuple[int, ...], np.dtype[np.generic]]]) -> tuple[int, int]:
    for name in ("x_train", "x_test"):
        shape, dtype = headers[name]
        if dtype != np.uint8:
            raise DataFault(f"{path.name}: {name} is {dtype}; pictures must be uint8.")
        if len(shape) not in (3, 4) or shape[1] != shape[2] or (len(shape) == 4 and shape[3] not in (1, 3)):
            raise DataFault(
                f"{path.name}: {name} has the shape {shape}; it must be pictures x side x side (x 1 or x 3)."
            )
        if 0 in shape:
            raise DataFault(f"{path.name}: {name} holds no pictures.")
    train, test = headers["x_train"][0], headers["x_test"][0]
    if train[1:] != test[1:]:
        raise DataFault(f"{path.name}: pictures of x_train are {train[1:]} but those of x_test {test[1:]}.")
    return train[1], train[3] if len(train) == 4 else 1


def _class_count(path: Path, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> int:
    if dtype.hasobject:
        raise DataFault(f"{path.name}: classes holds Python objects; it must list plain texts or numbers.")
    if len(shape) != 1 or shape[0] < 2:
        raise DataFault(f"{path.name}: classes has the shape {shape}; it must list at least two names.")
    return shape[0]


def _labels(path: Path, name: str, values: NDArray[np.generic], pictures: int, classes: int) -> NDArray[np.int64]:
    if not np.issubdtype(values.dtype, np.integer):
        raise DataFault(f"{path.name}: {name} is {values.dtype}; labels must be integers.")
    if values.shape != (pictures,):
        raise DataFault(f"{path.name}: {name} has the shape {values.shape} for {pictures} pictures; one label each.")
    labels = values.astype(np.int64)
    if labels.min() < 0 or labels.max() >= classes:
        raise DataFault(
            f"{path.name}: {name} has labels from {labels.min()} to {labels.max()}, "
            f"but classes lists {classes}, so they must be 0 … {classes - 1}."
        )
    return labels
