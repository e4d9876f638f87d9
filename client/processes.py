"""Starts the parts of a server as child processes, watches over them and ends all of them."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from client.errors import ClientError, InputFault

STOP_SECONDS = 25.0
"""Time the children get to end by themselves: a worker lets its runners write a checkpoint first."""
_LONGEST_PAUSE = 30.0
_STEADY_SECONDS = 60.0
_PR_SET_PDEATHSIG = 1
_STANDARD_ERROR = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One process: what people call it, and the module that Python runs."""

    name: str
    arguments: tuple[str, ...]


API = Part(name="api", arguments=("-m", "service"))
CONTROL = Part(name="control", arguments=("-m", "worker", "--queues", "control"))
RUNS = Part(name="runs", arguments=("-m", "worker", "--queues", "runs"))


@dataclass(slots=True)
class _Child:
    part: Part
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    pause: float = 1.0
    due: float = 0.0
    deaths: int = 0


class Supervisor:
    """A context manager around running parts: restarts what dies, ends everything on exit, leaves nothing behind.

    `log_folder`: each part's output goes to `<name>.log` there; None: to standard error. `notice` is called
    with a sentence when a part died; after `patience` deaths of one part, `tend` raises ClientError instead.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        environment: Mapping[str, str],
        *,
        log_folder: Path | None = None,
        patience: int | None = None,
        notice: Callable[[str], None] = lambda _sentence: None,
    ) -> None:
        self._children = [_Child(part) for part in parts]
        self._environment = {**os.environ, **environment}
        self._log_folder = log_folder
        self._patience = patience
        self._notice = notice

    def __enter__(self) -> Self:
        """Starts every part."""
        try:
            for child in self._children:
                self._start(child)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        """Ends every part."""
        self.stop()

    def tend(self) -> None:
        """Starts again what has died, each time after a longer pause. Call it about once a second, from one thread."""
        now = time.monotonic()
        for child in self._children:
            if child.process is None:
                if now >= child.due:
                    self._start(child)
            elif (code := child.process.poll()) is not None:
                _end_group(child.process, signal.SIGKILL)
                child.process = None
                if now - child.started > _STEADY_SECONDS:
                    child.pause = 1.0
                child.due = now + child.pause
                self._died(child, code)
                child.pause = min(2 * child.pause, _LONGEST_PAUSE)

    def stop(self) -> None:
        """Asks all parts to end, waits, and kills what is left with everything it started."""
        running = [child.process for child in self._children if child.process is not None]
        for process in running:
            with suppress(ProcessLookupError):
                process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        try:
            for process in running:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.1, deadline - time.monotonic()))
        finally:
            # Also when a second Ctrl-C cuts the wait short.
            for process in running:
                _end_group(process, signal.SIGKILL)
                process.wait()
            for child in self._children:
                child.process = None
                child.due = float("inf")

    def _died(self, child: _Child, code: int) -> None:
        child.deaths += 1
        if self._patience is not None and child.deaths > self._patience:
            where = "" if self._log_folder is None else f"; see {self._log_folder / child.part.name}.log"
            raise ClientError(f"The {child.part.name} process keeps ending with {code}{where}.")
        self._notice(f"The {child.part.name} process ended with {code}; starting it again in {child.pause:.0f} s.")

    def _start(self, child: _Child) -> None:
        with ExitStack() as files:
            # Standard output is for our own sentences.
            output: BinaryIO | int = _STANDARD_ERROR
            if self._log_folder is not None:
                self._log_folder.mkdir(parents=True, exist_ok=True)
                output = files.enter_context((self._log_folder / f"{child.part.name}.log").open("ab"))
            # Its own session: Ctrl-C in the terminal reaches only us, and we end the parts in order.
            child.process = subprocess.Popen(  # noqa: S603 - our own modules
                [sys.executable, *child.part.arguments], env=self._environment, stdin=subprocess.DEVNULL,
                stdout=output, stderr=output, start_new_session=True, preexec_fn=_die_with_parent(os.getpid()),
            )  # fmt: skip
        child.started = time.monotonic()


def migrate(environment: Mapping[str, str], *, quiet: bool) -> None:
    """Brings the database to the newest schema. Raises ClientError with what the migration said when it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "migrations", "upgrade"],
        env={**os.environ, **environment}, capture_output=quiet, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        said = (done.stderr or "").strip().splitlines()
        raise ClientError(f"The database could not be prepared: {said[-1] if said else 'see above'}")


def claim_port(host: str, port: int) -> int:
    """`port` if it is free, or any free one for 0. Raises InputFault when something else listens there."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise InputFault(f"Cannot listen on {host} port {port} ({error.strerror}); choose another port.") from None
        return int(probe.getsockname()[1])


def _end_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _die_with_parent(parent: int) -> Callable[[], None] | None:
    """Asks the kernel to end the child when we are killed; only Linux can. Loads nothing after the fork."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def before_exec() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return before_exec
