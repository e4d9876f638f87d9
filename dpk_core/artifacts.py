"""Files that are whole or not there: written aside, flushed, put in place at once, and checked when read."""

from __future__ import annotations

import hashlib
import os
import uuid
from contextlib import suppress
from pathlib import Path

from dpk_core import disk
from dpk_core.errors import ArtifactFault, DiskFault
from dpk_core.protocol import ArtifactReference

PARTIAL = ".partial"
"""Ending of a file still being written; one that is found later was left by a crash."""


def write(root: Path, path: str, content: bytes) -> ArtifactReference:
    """Puts `content` at `path` under `root`; a crash at any moment leaves the old file or the new one, both whole.

    Writers of the same path at once each write a file of their own aside; the last to put it in place stays.
    Raises DiskFault, and leaves nothing behind, when the disk is full or cannot be written.
    """
    target = _inside(root, path)
    partial = target.with_name(f"{target.name}.{uuid.uuid4().hex}{PARTIAL}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, target)
        _flush_folder(target.parent)
    except BaseException as error:
        with suppress(OSError):
            partial.unlink()
        if isinstance(error, OSError):
            raise DiskFault(disk.sentence(error, f"artifact root {root}")) from error
        raise
    return ArtifactReference(path=path, sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))


def read(root: Path, reference: ArtifactReference) -> bytes:
    """The file's content.

    Raises ArtifactFault when it is missing or does not match its checksum, DiskFault when the whole root is lost.
    """
    try:
        content = _inside(root, reference.path).read_bytes()
    except OSError as error:
        if disk.trouble(error) or not root.is_dir():
            raise DiskFault(disk.sentence(error, f"artifact root {root}")) from error
        raise ArtifactFault(f"The file {reference.path} cannot be read: {error.strerror}.") from error
    if hashlib.sha256(content).hexdigest() != reference.sha256:
        raise ArtifactFault(f"The file {reference.path} does not match its checksum.")
    return content


def _inside(root: Path, path: str) -> Path:
    target = (root / path).resolve()
    if not target.is_relative_to(root.resolve()):
        raise ArtifactFault(f"The path {path} leads out of the artifact folder.")
    return target


def _flush_folder(folder: Path) -> None:
    """Makes the new name itself survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
