"""Where the encoded pictures of a split are: files, rows in memory, or one long file with the place of each."""

from __future__ import annotations

import io
import os
import time
import weakref
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dpk_core.catalogue.content import DataFile, cache_folder, whole_file
from dpk_core.catalogue.headers import check_header
from dpk_core.errors import DataFault


class Encoded(Protocol):
    """Encoded pictures by position."""

    def __len__(self) -> int:
        """How many there are."""

    def read(self, position: int) -> tuple[str, bytes]:
        """Name and bytes of a picture. Safe to call from many threads. Raises DataFault when it cannot be read."""


@dataclass(frozen=True, slots=True)
class Files:
    """One file a picture."""

    folder: Path
    files: tuple[DataFile, ...]

    def __len__(self) -> int:
        return len(self.files)

    def read(self, position: int) -> tuple[str, bytes]:
        """See `Encoded`."""
        name = self.files[position].name
        try:
            return f"{self.folder.name}/{name}", (self.folder / name).read_bytes()
        except OSError as error:
            raise DataFault(f"{self.folder.name}/{name} cannot be read: {error.strerror}.") from error


@dataclass(frozen=True, slots=True)
class Rows:
    """Pictures with their names, in memory."""

    rows: tuple[tuple[str, bytes], ...]

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, position: int) -> tuple[str, bytes]:
        """See `Encoded`."""
        return self.rows[position]


class LaidOut:
    """One file with picture after picture: `ends` are the places where they end. It stays open, so that it can be read
    to the end of a training also where it was removed from the cache folder. Raises OSError where it is not there."""

    def __init__(self, name: str, path: Path, ends: NDArray[np.int64]) -> None:
        self.name = name
        self.ends = ends
        self._file = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)

    def __len__(self) -> int:
        return len(self.ends)

    def read(self, position: int) -> tuple[str, bytes]:
        """See `Encoded`."""
        begin = int(self.ends[position - 1]) if position else 0
        try:
            return f"{self.name}, picture {position}", os.pread(self._file, int(self.ends[position]) - begin, begin)
        except OSError as error:
            raise DataFault(f"{self.name}, picture {position} cannot be read: {error.strerror}.") from error


UNUSED_SECONDS = 30 * 86_400.0
"""After which a copy may go. A file system does not say when a file was read, so whoever opens one sets its time."""


def lay_out(folder: Path, origin: str, key: str, pictures: Iterable[tuple[str, bytes]]) -> LaidOut:
    """Writes the pictures of a split one after the other into the cache folder, or finds them there.

    `key` names their content. Copies that nobody has opened for `UNUSED_SECONDS` are removed when another is written.
    Large Parquet files need this: a picture in them can only be had by reading the hundreds around it. Raises DataFault
    naming a picture without a sound header, and when the cache folder cannot take them.
    """
    name = f"{folder.name}/{origin}"
    path = cache_folder() / f"encoded-{key}-{origin}"
    index = path.with_suffix(".ends.npy")
    try:
        if not (index.exists() and path.exists()):
            ends = _write(path, pictures)
            # Last, because its being there says that the other is whole.
            with whole_file(index) as file:
                np.save(file, ends)
            _remove_unused(cache_folder())
        for used in (path, index):
            os.utime(used)
        return LaidOut(name, path, np.load(index, allow_pickle=False))
    except OSError as error:
        raise DataFault(
            f"{name}: {cache_folder()} cannot hold the pictures of this large data set ({error.strerror}); "
            "name another folder in DPK_DATA_CACHE."
        ) from error


def _write(path: Path, pictures: Iterable[tuple[str, bytes]]) -> NDArray[np.int64]:
    lengths = []
    with whole_file(path) as file:
        for name, content in pictures:
            check_header(name, io.BytesIO(content))
            file.write(content)
            lengths.append(len(content))
    return np.cumsum(lengths, dtype=np.int64)


def _remove_unused(cache: Path) -> None:
    for copy in cache.glob("encoded-*"):
        with suppress(OSError):  # somebody else removed it, or it is somebody else's
            if time.time() - copy.stat().st_mtime > UNUSED_SECONDS:
                copy.unlink()
