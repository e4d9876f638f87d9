"""One run on several devices of this machine: a runner per device, which together are one to the worker.

Each rank speaks the same protocol as a runner alone. The first one's events are passed on; the others' matter only
where they report an end. A rank that fails or dies leaves the others waiting for it, so all go with it, and new ones
are started for the next run.
"""

from __future__ import annotations

import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from dpk_core.errors import ProtocolFault
from dpk_core.protocol import (
    Command,
    Event,
    Failed,
    Finished,
    Ready,
    ShutdownCommand,
    StopCommand,
    Stopped,
    decode_event,
    encode,
)
from dpk_core.runner.inbox import Assignment
from dpk_core.runner.life import Channel

POLL_SECONDS = 0.1
"""A stop reaches the ranks within this."""

WORDS_SECONDS = 2.0
"""How long the reason is waited for after a rank was torn from the others, which says nothing by itself."""


@dataclass(frozen=True, slots=True)
class _Died:
    """A rank's process is over."""


class Ranks:
    """The processes, started when they are needed and warm from run to run."""

    def __init__(self, devices: Sequence[str], threads: int) -> None:
        self._devices, self._threads = devices, threads
        self._processes: list[subprocess.Popen[bytes]] = []
        self._news: queue.SimpleQueue[tuple[int, Event | _Died]] = queue.SimpleQueue()
        self._folder: Path | None = None
        """Where the ranks meet; they may look there again as long as they live."""
        self.names: list[str] = []

    @property
    def device_name(self) -> str:
        """Of all devices together, as `2 x NVIDIA H200`."""
        return " + ".join(f"{self.names.count(name)} x {name}" for name in dict.fromkeys(self.names))

    def start(self) -> None:
        """Starts what is not running and waits until all ranks have met. Raises ChildProcessError when one dies."""
        if self._processes:
            return
        self._news, self.names = queue.SimpleQueue(), []
        self._folder = Path(tempfile.mkdtemp(prefix="dpk-ranks-"))
        for rank, device in enumerate(self._devices):
            self._processes.append(self._started(rank, device, self._folder / "meeting"))
        while len(self.names) < len(self._devices):
            rank, event = self._news.get()
            if isinstance(event, _Died):
                self.kill()
                raise ChildProcessError(f"The process for {self._devices[rank]} died while it came up.")
            if isinstance(event, Ready):
                self.names.append(event.device_name)

    def carry_out(self, assignment: Assignment, channel: Channel) -> Event:
        """Has all ranks do it, passing on what the first says. Returns the last event, which the caller sends."""
        self.start()
        self._send(assignment.command)
        ends: dict[int, Finished | Stopped] = {}
        stopping = False
        while len(ends) < len(self._devices):
            if assignment.stop.is_set() and not stopping:
                stopping = True
                self._send(StopCommand(), ranks=1)
            try:
                rank, event = self._news.get(timeout=POLL_SECONDS)
            except queue.Empty:
                continue
            if isinstance(event, Failed | _Died):
                failed = self._reason(assignment, rank, event)
                self.kill()
                return failed
            if isinstance(event, Finished | Stopped):
                ends[rank] = event
            elif rank == 0:
                channel.send(event)
        return self._together(ends[0])

    def shut_down(self) -> None:
        """Lets the ranks leave."""
        self._send(ShutdownCommand())
        for process in self._processes:
            process.wait()
        self._leave()

    def kill(self) -> None:
        """Ends all ranks at once."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()
        self._processes = []
        self._leave()

    def _leave(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _started(self, rank: int, device: str, meeting: Path) -> subprocess.Popen[bytes]:
        place = ("--rank", str(rank), "--ranks", str(len(self._devices)), "--meeting", str(meeting))
        process = subprocess.Popen(  # noqa: S603 - our own module, no user input
            (sys.executable, "-m", "dpk_core.runner", "--device", device, "--threads", str(self._threads), *place),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        reading = (process.stdout, rank, self._news)
        threading.Thread(target=_read, args=reading, name=f"rank-{rank}", daemon=True).start()
        return process

    def _send(self, command: Command, ranks: int | None = None) -> None:
        for process in self._processes[:ranks]:
            assert process.stdin is not None
            with suppress(OSError):  # it is about to be reported as dead
                process.stdin.write(encode(command).encode() + b"\n")
                process.stdin.flush()

    def _reason(self, assignment: Assignment, rank: int, event: Failed | _Died) -> Failed:
        """What is to be said of a failure: a rank whose peer is gone only sees a broken connection."""
        until = time.monotonic() + WORDS_SECONDS
        while isinstance(event, Failed) and event.kind == "internal" and (left := until - time.monotonic()) > 0:
            with suppress(queue.Empty):
                other, later = self._news.get(timeout=left)
                if isinstance(later, _Died) or (isinstance(later, Failed) and later.kind != "internal"):
                    rank, event = other, later
        if isinstance(event, Failed):
            return event
        message = f"The process for {self._devices[rank]} died; the others were ended."
        return Failed(run_id=assignment.command.run_id, kind="internal", message=message)

    def _together(self, end: Finished | Stopped) -> Event:
        if isinstance(end, Stopped):
            return end
        return replace(end, result=replace(end.result, device=",".join(self._devices), device_name=self.device_name))


def _read(lines: IO[bytes], rank: int, received: queue.SimpleQueue[tuple[int, Event | _Died]]) -> None:
    # One that writes what is no event is as good as dead.
    with lines, suppress(ProtocolFault):
        for line in lines:
            received.put((rank, decode_event(line.decode(errors="replace"))))
    received.put((rank, _Died()))
