"""Commands as they come in, read by a thread of their own so that a stop reaches a run in progress."""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import BinaryIO

from dpk_core.errors import ProtocolFault
from dpk_core.protocol import Failed, Noticed, RunCommand, ShutdownCommand, StopCommand, decode_command
from dpk_core.runner.life import Channel


@dataclass(frozen=True, slots=True)
class Assignment:
    """A run to carry out. `stop` is set when it should end at its next step."""

    command: RunCommand
    stop: threading.Event = field(default_factory=threading.Event)


class Inbox:
    """Hands out one assignment at a time and refuses a second one while the first is going on."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._lock = threading.Lock()
        self._current: Assignment | None = None
        self._queue: queue.SimpleQueue[Assignment | None] = queue.SimpleQueue()

    def listen(self, stream: BinaryIO) -> None:
        """Starts reading `stream`. Its end, which is also the worker's, ends this process at once."""
        threading.Thread(target=self._read, args=(stream,), name="inbox", daemon=True).start()

    def next(self) -> Assignment | None:
        """Blocks for the next run; None after a shutdown command."""
        return self._queue.get()

    def done(self) -> None:
        """The current run is over; the next may come. To be called before its last event is sent."""
        with self._lock:
            self._current = None

    def _read(self, stream: BinaryIO) -> None:
        for line in stream:
            self.take(line.decode(errors="replace"))
        os._exit(0)

    def take(self, line: str) -> None:
        """Acts on one line."""
        try:
            command = decode_command(line)
        except ProtocolFault as fault:
            self._refuse_line(line, fault)
            return
        match command:
            case RunCommand():
                self._assign(command)
            case StopCommand():
                self._stop()
            case ShutdownCommand():
                self._stop()
                self._queue.put(None)

    def _assign(self, command: RunCommand) -> None:
        with self._lock:
            busy = self._current
            if busy is None:
                self._current = Assignment(command)
                self._queue.put(self._current)
                return
        if busy.command.run_id == command.run_id:
            message = "The run was sent again while it is being carried out; the second command is ignored."
            self._channel.send(Noticed(run_id=command.run_id, level="warning", message=message))
        else:
            message = f"The runner is busy with run {busy.command.run_id}; send one run at a time."
            self._channel.send(Failed(run_id=command.run_id, kind="invalid", message=message))

    def _stop(self) -> None:
        with self._lock:
            if self._current is not None:
                self._current.stop.set()

    def _refuse_line(self, line: str, fault: ProtocolFault) -> None:
        run_id = _run_id(line)
        if run_id is None:
            with suppress(OSError):  # the log may lie on a full disk
                sys.stderr.write(f"runner: {fault}\n")
        else:
            self._channel.send(
                Failed(run_id=run_id, kind="invalid", message=f"The command is invalid: {fault.__cause__}.")
            )


def _run_id(line: str) -> str | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    found = value.get("run_id") if isinstance(value, dict) else None
    return found if isinstance(found, str) else None
