"""What identifies data in files: a content hash, computed once and remembered outside the data's own folder.

Up to `WHOLE_BYTES` every byte is hashed. Beyond it, the hash covers every file's name and size, and the content of
`SAMPLED_FILES` files (of long ones the first and the last `BLOCK` bytes). Which ones follows from their names alone. So
a file added, removed, renamed or of another length is always noticed in large data, and one changed without changing
its length with the probability that it is in the sample; decision 9 says why. Labels are never sampled: the fingerprint
of large data covers all of them (`pictures`).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

WHOLE_BYTES = 2**30
SAMPLED_FILES = 2000
BLOCK = 2**20

CACHE_VERSION = 4
"""Raise it when what is remembered changes its meaning."""

NOTHING: Mapping[str, bytes] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file by its path from the data set's folder, with its bytes and its time of last change."""

    name: str
    size: int
    changed_ns: int


def data_file(entry: os.DirEntry[str], folder: str = "") -> DataFile:
    """The file behind a directory entry, named from the data set's `folder`."""
    status = entry.stat()
    return DataFile(f"{folder}{entry.name}", status.st_size, status.st_mtime_ns)


def file_state(folder: Path, name: str) -> DataFile:
    """The file `name` of a folder as it is now. Raises OSError."""
    status = os.stat(folder / name)
    return DataFile(name, status.st_size, status.st_mtime_ns)


def file_digest(path: Path) -> str:
    """SHA-256 of a file as 64 hex digits. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_large(files: Sequence[DataFile]) -> bool:
    """Whether these files are identified by a sample of their content."""
    return sum(file.size for file in files) > WHOLE_BYTES


def sample(files: Sequence[DataFile]) -> list[DataFile]:
    """All of small data; of large data the fixed sample, in the order of names."""
    if is_large(files) and len(files) > SAMPLED_FILES:
        files = sorted(files, key=lambda file: hashlib.sha256(os.fsencode(file.name)).digest())[:SAMPLED_FILES]
    return sorted(files, key=lambda file: file.name)


def content_hash(folder: Path, files: Sequence[DataFile], known: Mapping[str, bytes] = NOTHING) -> str:
    """`sha256:` of everything, or `sampled-sha256:` as the module says, with 64 hex digits. Raises OSError.

    `known`: SHA-256 digests of whole files by name, which are not read again.
    """
    large = is_large(files)
    whole = hashlib.sha256()
    for file in sorted(files, key=lambda file: file.name):
        whole.update(b"%d:%b,%d;" % (len(file.name), os.fsencode(file.name), file.size))
    for file in sample(files):
        if file.name in known:
            whole.update(known[file.name])
            continue
        with (folder / file.name).open("rb") as stream:
            if large and file.size > 2 * BLOCK:
                whole.update(stream.read(BLOCK))
                stream.seek(-BLOCK, os.SEEK_END)
            whole.update(hashlib.file_digest(stream, "sha256").digest())
    return f"{'sampled-' if large else ''}sha256:{whole.hexdigest()}"


def state_key(folder: Path, files: Sequence[DataFile]) -> str:
    """Hash of a listing's names, sizes and times: as long as it stays, so does what was found out."""
    text = "\n".join(f"{file.name}\0{file.size}\0{file.changed_ns}" for file in sorted(files, key=lambda f: f.name))
    return hashlib.sha256(os.fsencode(f"{folder.absolute()}\n{text}")).hexdigest()


def cache_folder() -> Path:
    """Where what was found out is kept: `DPK_DATA_CACHE`, else `dpk-select` among the user's caches.

    Never the data's own folder, which may be read-only. It may be deleted at any time.
    """
    if own := os.environ.get("DPK_DATA_CACHE"):
        return Path(own)
    caches = os.environ.get("XDG_CACHE_HOME")
    return (Path(caches) if caches else Path.home() / ".cache") / "dpk-select"


def remembered(question: str, key: str, answer: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The answer (plain JSON) to a question about data with this `state_key`, worked out only the first time.

    Where nothing can be written, it is worked out each time.
    """
    path = cache_folder() / f"{question}-{CACHE_VERSION}-{key}.json"
    try:
        known: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        known = answer()
        with contextlib.suppress(OSError), whole_file(path) as file:
            file.write(json.dumps(known).encode())
    return known


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file to write, put in its place in one step at the end, so that no process ever sees a part of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        try:
            yield file
            file.flush()
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink()
            raise
