"""What a `.npz` data set promises, read from its headers and labels alone, and checked before anything is trained."""

from __future__ import annotations

import math
import tokenize
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dpk_core.catalogue.spelling import composed
from dpk_core.display import listed, shown
from dpk_core.errors import DataFault

ARRAYS = ("x_train", "y_train", "x_test", "y_test", "classes")

UNREADABLE = (
    OSError, zipfile.BadZipFile, NotImplementedError, ValueError, EOFError, SyntaxError, TypeError, RecursionError,
    MemoryError, zlib.error, tokenize.TokenError,
)  # fmt: skip
"""What zipfile and numpy raise about a file that is broken, encrypted, or whose headers are nonsense."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NpzLayout:
    """The checked shape of a data set file. Labels are int64; pictures are `side` x `side` with `channels`."""

    side: int
    channels: int
    names: tuple[str, ...]
    train_labels: NDArray[np.int64]
    test_labels: NDArray[np.int64]

    @property
    def classes(self) -> int:
        """How many there are."""
        return len(self.names)


@dataclass(frozen=True, slots=True)
class _Header:
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]


def read_layout(path: Path) -> NpzLayout:
    """Reads headers and labels of `path`. Raises DataFault with a sentence that says what is wrong with the file."""
    try:
        with zipfile.ZipFile(path) as archive:
            headers = {name: _header(archive, path, name) for name in ARRAYS}
        side, channels = _picture_shape(path, headers)
        classes = _class_count(path, headers["classes"])
        for part in ("train", "test"):
            _check_label_header(path, f"y_{part}", headers[f"y_{part}"], headers[f"x_{part}"].shape[0])
        with np.load(path, allow_pickle=False) as arrays:
            labels = {part: _labels(path, f"y_{part}", arrays[f"y_{part}"], classes) for part in ("train", "test")}
            names = tuple(composed(_text(name)) for name in arrays["classes"].tolist())
    except UNREADABLE as error:
        # numpy repeats the header it cannot read, however long.
        raise DataFault(f"{path.name} cannot be read as an .npz file of plain arrays: {error!s:.200}.") from error
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise DataFault(f"{path.name}: classes names {shown(twice)} twice; every class needs a name of its own.")
    if len(missing := np.setdiff1d(np.arange(classes), labels["train"])):
        raise DataFault(
            f"{path.name}: class {missing[0]} of {classes} has no picture in x_train; every class needs some."
        )
    return NpzLayout(
        side=side, channels=channels, names=names, train_labels=labels["train"], test_labels=labels["test"]
    )


def _text(name: object) -> str:
    """A class's name, which numpy keeps as bytes where it was given bytes. Raises ValueError for other than UTF-8."""
    return name.decode() if isinstance(name, bytes) else str(name)


def _header(archive: zipfile.ZipFile, path: Path, name: str) -> _Header:
    """The header of an array whose values all are in the file: a shape that is made up would be given memory."""
    try:
        info = archive.getinfo(f"{name}.npy")
    except KeyError:
        found = listed([member.removesuffix(".npy") for member in archive.namelist()])
        raise DataFault(
            f"{path.name} holds no array {name}, only {found or 'nothing'}; it needs {', '.join(ARRAYS)}."
        ) from None
    with archive.open(info) as member:
        version = np.lib.format.read_magic(member)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(member)
        there = info.file_size - member.tell()
    if not dtype.hasobject and min(shape, default=0) >= 0 and math.prod(shape) * dtype.itemsize != there:
        raise DataFault(
            f"{path.name}: {name} is cut short: its header says {_short(shape)}, its values take {there} bytes."
        )
    return _Header(shape, dtype)


def _short(shape: tuple[int, ...]) -> str:
    """A shape in words, cut off where a header makes it absurdly long."""
    return f"{str(shape)[:100]}…" if len(str(shape)) > 100 else str(shape)


def _picture_shape(path: Path, headers: dict[str, _Header]) -> tuple[int, int]:
    for name in ("x_train", "x_test"):
        shape, dtype = headers[name].shape, headers[name].dtype
        if dtype != np.uint8:
            raise DataFault(f"{path.name}: {name} holds {_kind(dtype)}; pictures must be uint8.")
        if len(shape) not in (3, 4) or shape[1] != shape[2] or (len(shape) == 4 and shape[3] not in (1, 3)):
            raise DataFault(
                f"{path.name}: {name} has the shape {_short(shape)}; it must be pictures x side x side (x 1 or x 3)."
            )
        if min(shape) < 1:
            raise DataFault(f"{path.name}: {name} holds no pictures.")
    train, test = headers["x_train"].shape, headers["x_test"].shape
    if train[1:] != test[1:]:
        raise DataFault(f"{path.name}: pictures of x_train are {train[1:]} but those of x_test {test[1:]}.")
    return train[1], train[3] if len(train) == 4 else 1


def _class_count(path: Path, header: _Header) -> int:
    if header.dtype.hasobject:
        raise DataFault(f"{path.name}: classes holds Python objects; it must list plain texts or numbers.")
    if len(header.shape) != 1 or header.shape[0] < 2:
        raise DataFault(f"{path.name}: classes has the shape {header.shape}; it must list at least two names.")
    return header.shape[0]


def _check_label_header(path: Path, name: str, header: _Header, pictures: int) -> None:
    if not np.issubdtype(header.dtype, np.integer):
        raise DataFault(
            f"{path.name}: {name} holds {_kind(header.dtype)}; labels must be integers, each the place of its class in "
            "classes, counted from 0."
        )
    if header.shape != (pictures,):
        raise DataFault(
            f"{path.name}: {name} has the shape {header.shape} for {pictures} pictures; it must be ({pictures},), one "
            "label each."
        )


def _kind(dtype: np.dtype[np.generic]) -> str:
    return {"U": "text", "S": "bytes", "O": "Python objects", "b": "truth values"}.get(dtype.kind, str(dtype))


def _labels(path: Path, name: str, values: NDArray[np.generic], classes: int) -> NDArray[np.int64]:
    labels = values.astype(np.int64)
    if labels.min() < 0 or labels.max() >= classes:
        raise DataFault(
            f"{path.name}: {name} has labels from {labels.min()} to {labels.max()}, "
            f"but classes lists {classes}, so they must be 0 … {classes - 1}."
        )
    return labels
