"""What a process that reads a hostile file gives away before it opens it. Standard library only."""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

MEMORY_BYTES = 4 * 2**30
"""Beyond what the process holds when it is confined, and beside what the file itself takes."""
CPU_SECONDS = 300
OPEN_FILES = 64

_NEW_NETWORK, _NEW_USER = 0x40000000, 0x10000000
_FORBIDDEN = (
    "socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.putenv", "os.remove",
    "os.rename", "os.link", "os.symlink", "os.truncate", "os.mkdir", "os.rmdir", "os.chmod", "os.chown", "os.kill",
    "pty.", "ctypes.dlopen", "pickle.find_class", "shutil.", "urllib.", "ftplib.", "http.client.",
)  # fmt: skip
"""Beginnings of Python's audit events that end the check."""
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def leave_network() -> None:
    """Moves to a network of its own, which leads nowhere, where the kernel allows it; call it before threads start.

    Where it does not, the audit events of `confine` still forbid sockets to Python code.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NEW_NETWORK) != 0:
        libc.unshare(_NEW_USER | _NEW_NETWORK)


def confine(file_bytes: int, target: Path) -> None:
    """Limits memory, time and files, and forbids sockets, processes, pickles and writing anything but `target`.

    It cannot be undone. `file_bytes`: size of the file that will be read.
    """
    with suppress(ValueError, OSError):
        held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        _limit(resource.RLIMIT_AS, held + MEMORY_BYTES + 6 * file_bytes)
    _limit(resource.RLIMIT_CPU, CPU_SECONDS)
    _limit(resource.RLIMIT_FSIZE, 4 * file_bytes + 2**25)
    _limit(resource.RLIMIT_NOFILE, OPEN_FILES)
    _limit(resource.RLIMIT_CORE, 0)
    allowed = os.fspath(target)

    def forbid(event: str, arguments: tuple[Any, ...]) -> None:
        if event.startswith(_FORBIDDEN) or (event == "open" and _writes(arguments) and arguments[0] != allowed):
            raise PermissionError(f"a file under check asked for {event}")

    sys.addaudithook(forbid)


def _limit(kind: int, value: int) -> None:
    with suppress(ValueError, OSError):
        _, hard = resource.getrlimit(kind)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))


def _writes(arguments: tuple[Any, ...]) -> bool:
    _, mode, flags = arguments
    return bool(set(mode or "") & set("wax+")) or bool((flags or 0) & _WRITING)
