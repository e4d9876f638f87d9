"""The runner never outlives its worker and never lets a stray print into the protocol."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from typing import BinaryIO

from dpk_core.protocol import Event, encode

PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Asks the kernel for SIGKILL when the parent goes, even in the middle of a long computation.

    Linux only; elsewhere the closing of standard input has to do. The kernel means the parent's *thread* that started
    the runner, so that thread has to live as long as the runner is wanted.
    """
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


class Channel:
    """The way out for events; one whole line at a time, from any thread."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def send(self, event: Event) -> None:
        """Writes `event` as one line. When nobody reads any more the process ends."""
        line = encode(event).encode() + b"\n"
        with self._lock:
            try:
                self._stream.write(line)
                self._stream.flush()
            except BrokenPipeError:
                os._exit(0)


def take_standard_output() -> Channel:
    """Keeps the real standard output for events and points file descriptor 1, and so every print, at standard error."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    return Channel(os.fdopen(kept, "wb"))
