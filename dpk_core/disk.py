"""A full, read-only or lost disk: how it is recognised and what is said of it."""

from __future__ import annotations

import errno
import platform
from pathlib import Path

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
LOST = frozenset({errno.EROFS, errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ENXIO, errno.ENODEV})


def machine() -> str:
    """The name of this machine (or container), as messages to people give it."""
    return platform.node() or "this machine"


def trouble(error: BaseException) -> OSError | None:
    """What the disk refused, when that is what led to `error`: no room at any depth of its causes, or a lost disk."""
    if isinstance(error, OSError) and error.errno in FULL | LOST:
        return error
    before = error.__cause__ or error.__context__
    found = None if before is None else trouble(before)
    return found if found is not None and found.errno in FULL else None


def sentence(error: OSError, place: str | Path) -> str:
    """What went wrong where, and what to do: `place` is a path, or words that end in one."""
    if error.errno in FULL:
        return f"The disk is full on {machine()} ({place}). Free space there; what waits then goes on by itself."
    return f"Files cannot be kept on {machine()} ({place}): {error.strerror or error}."
