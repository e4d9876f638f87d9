"""One runner: a child process in its own session, lines in, events out, and the certainty that it is gone."""

from __future__ import annotations

import logging
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from dpk_core.errors import ProtocolFault
from dpk_core.protocol import Command, Event, Ready, decode_event, encode
from service.runs import output

LAST_WORDS_BYTES = 4096
_EXIT_SECONDS, _LOOK_SECONDS = 1.0, 0.02

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Gone:
    """The process and its whole group are over. `how` ends the sentence "the training process died …"."""

    how: str


class RunnerProcess:
    """Start it from a thread that lives as long as it: the kernel kills the runner when that thread ends."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log_path = log
        with log.open("ab") as errors:
            self._log_start = errors.tell()
            self._process: subprocess.Popen[bytes] = subprocess.Popen(  # noqa: S603 - our own module, no user input
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, start_new_session=True
            )
        self._news: queue.SimpleQueue[Event | Gone] = queue.SimpleQueue()
        self._gone, self._ready = threading.Event(), threading.Event()
        self._signalling, self._reaped = threading.Lock(), False
        self._device_name: str | None = None
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        """To be written to its input; None closes it."""
        for target, stream in ((self._read, self._process.stdout), (self._write, self._process.stdin)):
            assert stream is not None
            threading.Thread(target=target, args=(stream,), name=f"runner-{self.pid}", daemon=True).start()

    @property
    def pid(self) -> int:
        """The process's id, which is its group's too."""
        return self._process.pid

    @property
    def gone(self) -> bool:
        """Whether the process is over."""
        return self._gone.is_set()

    @property
    def ready(self) -> bool:
        """Whether it has come up. Before that it hears no command and has nothing to save."""
        return self._ready.is_set()

    @property
    def device_name(self) -> str | None:
        """On what it trains, once it has come up."""
        return self._device_name

    def send(self, command: Command) -> None:
        """Has one line written, and returns at once.

        A runner that is still importing reads nothing, and a pipe holds 64 KiB: whoever watches over it must not wait
        for it to take a large command. A process that reads no more is about to be reported as gone.
        """
        self._lines.put(encode(command).encode() + b"\n")

    def next(self, timeout: float) -> Event | Gone | None:
        """The next event; None after `timeout` seconds without one. After Gone nothing more comes."""
        try:
            return self._news.get(timeout=max(0.0, timeout))
        except queue.Empty:
            return None

    def kill(self) -> None:
        """Kills the whole group and waits until the process is gone. One that is gone already is left alone."""
        self._kill_group()
        self._gone.wait()

    def close(self, grace_seconds: float) -> None:
        """Closes its input, which ends the runner, and kills it if it has not left in time or is not up yet."""
        self._lines.put(None)
        if not self._gone.wait(grace_seconds if self.ready else 0):
            self.kill()

    def _read(self, lines: IO[bytes]) -> None:
        how = "for a reason that its worker could not find out"
        try:
            strange = self._take_in(lines)
            how = _describe(self._exit_code()) + strange + self._last_words()
        except Exception:  # whatever the system refuses, a runner that nobody watches must not stay
            _log.exception("The end of runner %d could not be watched.", self.pid)
            self._kill_group()
            self._reap()
        finally:
            # Whatever went wrong here: a slot that waits for the end must hear of it.
            self._lines.put(None)
            self._gone.set()
            self._news.put(Gone(how))

    def _take_in(self, lines: IO[bytes]) -> str:
        """Reads events until there are no more; returns what to add to how the process ended."""
        strange = ""
        for line in lines:
            try:
                event = decode_event(line.decode(errors="replace"))
            except ProtocolFault as fault:
                _log.error("Runner %d wrote what is no event: %s", self.pid, fault)
                strange = " after it wrote what is no event"
                self._kill_group()
                break
            if isinstance(event, Ready):
                self._device_name = event.device_name
                self._ready.set()
            self._news.put(event)
        lines.close()
        return strange

    def _write(self, stream: IO[bytes]) -> None:
        while (line := self._lines.get()) is not None:
            with suppress(OSError):
                stream.write(line)
                stream.flush()
        with suppress(OSError):
            stream.close()

    def _exit_code(self) -> int:
        """How the process ended. What is left of its group is killed before it is reaped: until then the group's id is
        nobody else's."""
        # Nobody can hear it any more, so it has to go; a moment's patience keeps its own exit code.
        if hasattr(os, "waitid"):
            deadline = time.monotonic() + _EXIT_SECONDS
            while not self._has_ended(os.WNOHANG) and time.monotonic() < deadline:
                time.sleep(_LOOK_SECONDS)  # looks again: waitid has no time-out
            self._kill_group()
            self._has_ended(0)
        else:
            # macOS before Python 3.13 cannot wait without reaping: the group is killed right after that.
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_EXIT_SECONDS)
            self._kill_group()
        return self._reap()

    def _reap(self) -> int:
        """Waits for the process, whose group was killed; returns its exit code."""
        with self._signalling:
            self._reaped = True
            return self._process.wait()

    def _has_ended(self, options: int) -> bool:
        """Whether the process has ended, which leaves it to be reaped. Without WNOHANG: waits until it has."""
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | options) is not None

    def _kill_group(self) -> None:
        with self._signalling, suppress(ProcessLookupError, PermissionError):
            if not self._reaped:
                os.killpg(self.pid, signal.SIGKILL)

    def _last_words(self) -> str:
        try:
            with self._log_path.open("rb") as log:
                end = log.seek(0, os.SEEK_END)
                start = self._log_start if self._log_start <= end else 0  # it was begun anew, see `output.begin`
                log.seek(max(start, end - LAST_WORDS_BYTES))
                lines = log.read().decode(errors="replace").split("\n")
        except OSError:
            return ""  # somebody removed the log; the death is reported all the same
        words = [line.strip() for line in lines if line.strip() and not output.is_mark(line)]
        return f" (it last wrote: {words[-1][:300]})" if words else ""


def _describe(code: int) -> str:
    return f"by signal {-code}" if code < 0 else f"with exit code {code}"
