"""What was found out about a data set in this process, for as long as its folder looks the same.

Listing a large folder takes seconds; seeing that it did not change takes hundredths. Remembered is what was found, not
the listing. It is forgotten when

- a folder of the data set changed, which is so when a file was added, removed or renamed;
- the size or time of a file changed, of at most `LOOKED_AT` files, which are looked at each time;
- there are more files than that, and the last listing is older than `SECONDS`.

So a change is noticed at once, save for a file among more than `LOOKED_AT` that is written over in place: that one may
be noticed `SECONDS` late. Folders that changed within `FRESH_NS` before they were listed are not trusted, because a
second change may have left the same time.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from dpk_core.catalogue.content import DataFile

LOOKED_AT = 10_000
SECONDS = 60.0
FRESH_NS = 2 * 10**9

MOST = 32
"""Data sets that are remembered at the same time; the one asked for least recently is forgotten first."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Looks:
    """What a data set's folder looked like: its `folders` with their times, and some of its `files`.

    `is_all`: whether these are all of its files. `listed_at`: monotonic clock, in seconds.
    """

    folder: Path
    folders: tuple[tuple[str, int, int], ...]
    files: tuple[DataFile, ...]
    is_all: bool
    listed_at: float

    def still(self) -> bool:
        """Whether it looks the same now."""
        if not self.is_all and time.monotonic() - self.listed_at > SECONDS:
            return False
        return _folders(self.folder, [name for name, _, _ in self.folders]) == self.folders and all(
            _looks(self.folder, file) for file in self.files
        )


def looks(
    folder: Path, folders: Sequence[str], files: Sequence[DataFile], *, before_ns: int, listed_at: float
) -> Looks | None:
    """What was listed from `listed_at` (monotonic clock) and `before_ns` (wall clock) on; None: changed too lately."""
    found = _folders(folder, folders)
    if any(changed > before_ns - FRESH_NS for _, changed, _ in found):
        return None
    every = max(1, math.ceil(len(files) / LOOKED_AT))
    return Looks(folder, found, tuple(files[::every]), every == 1, listed_at)


class Recall(Generic[T]):
    """Things found out, by name and data root. Safe to use from several threads."""

    def __init__(self) -> None:
        self._known: OrderedDict[object, tuple[Looks, T]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: object) -> T | None:
        """What was found out, where the folder still looks the same."""
        with self._lock:
            known = self._known.get(key)
        if known is None or not known[0].still():
            return None
        with self._lock, suppress(KeyError):
            self._known.move_to_end(key)
        return known[1]

    def put(self, key: object, looked: Looks, found: T) -> None:
        """Remembers it."""
        with self._lock:
            self._known[key] = looked, found
            self._known.move_to_end(key)
            while len(self._known) > MOST:
                self._known.popitem(last=False)


class OneAtATime:
    """What a thread holds while it finds something out: whoever asks for the same meanwhile waits, and then finds it in
    memory."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._held: dict[Hashable, tuple[threading.Lock, int]] = {}

    @contextmanager
    def of(self, key: Hashable) -> Iterator[None]:
        """Held within. Nothing stays of a key that nobody asks for."""
        with self._guard:
            lock, askers = self._held.get(key, (threading.Lock(), 0))
            self._held[key] = lock, askers + 1
        try:
            with lock:
                yield
        finally:
            with self._guard:
                lock, askers = self._held.pop(key)
                if askers > 1:
                    self._held[key] = lock, askers - 1


def _folders(folder: Path, names: Iterable[str]) -> tuple[tuple[str, int, int], ...]:
    """Time and identity of each folder; zeros for one that is not there."""
    found = []
    for name in names:
        try:
            status = os.stat(folder / name)
        except OSError:
            found.append((name, 0, 0))
        else:
            found.append((name, status.st_mtime_ns, status.st_ino))
    return tuple(found)


def _looks(folder: Path, file: DataFile) -> bool:
    try:
        status = os.stat(folder / file.name)
    except OSError:
        return False
    return (status.st_size, status.st_mtime_ns) == (file.size, file.changed_ns)
