"""Carries out one claim at a time with one runner, which stays warm between claims."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from dpk_core.protocol import (
    Checkpoint,
    Checkpointed,
    Event,
    Failed,
    Finished,
    Measured,
    Noticed,
    Progressed,
    Ready,
    Started,
    StopCommand,
    Stopped,
)
from service.database.session import transaction
from service.runs import service as runs
from service.runs.claims import Answer, Claim, Report
from service.settings import Settings
from worker.artifacts import remove_older_checkpoints, run_command
from worker.runner_process import Gone, RunnerProcess

_log = logging.getLogger(__name__)

End = Finished | Failed | Stopped | Gone


@dataclass(slots=True)
class News:
    """What the runner said since the last report that reached the database."""

    report: Report = field(default_factory=Report)
    measured: list[Measured] = field(default_factory=list)
    notices: list[Noticed] = field(default_factory=list)

    def add(self, event: Event) -> None:
        """Takes in one event."""
        match event:
            case Started():
                self.report = replace(self.report, step=event.step, total_steps=event.total_steps)
            case Progressed():
                self.report = replace(
                    self.report, step=event.step, total_steps=event.total_steps, seconds=event.seconds
                )
            case Checkpointed():
                self.report = replace(self.report, checkpoint=event.checkpoint)
            case Measured():
                self.measured.append(event)
            case Noticed():
                self.notices.append(event)


class Supervisor:
    """One slot's runner. All methods are called from the slot's own thread, which outlives the runner."""

    def __init__(
        self, settings: Settings, command: Sequence[str], log: Path, stopping: threading.Event,
        on_ready: Callable[[Ready], None],
    ) -> None:  # fmt: skip
        self._settings, self._command, self._log_file = settings, command, log
        self._stopping, self._on_ready = stopping, on_ready
        self._runner: RunnerProcess | None = None

    def carry_out(self, claim: Claim) -> None:
        """Returns when the run is over, given back or lost; the runner may be warm or gone then."""
        if self._runner is None or self._runner.gone:
            self._runner = RunnerProcess(self._command, self._log_file)
        _log.info("Run %s begins (fence %d).", claim.run_id, claim.fence)
        _Attempt(self._settings, self._runner, claim, self._stopping, self._on_ready).carry_out()

    def close(self) -> None:
        """Ends the runner."""
        if self._runner is not None:
            self._runner.close(self._settings.stop_grace_seconds)
            self._runner = None

    def kill(self) -> None:
        """Ends the runner at once."""
        if self._runner is not None:
            self._runner.kill()


class _Attempt:
    """One claim in one runner, from the command to the last word."""

    def __init__(
        self, settings: Settings, runner: RunnerProcess, claim: Claim, stopping: threading.Event,
        on_ready: Callable[[Ready], None],
    ) -> None:  # fmt: skip
        self._settings, self._runner, self._claim = settings, runner, claim
        self._stopping, self._on_ready = stopping, on_ready
        self._news = News()
        self._checkpoint: Checkpoint | None = None
        self._lost = False
        self._stop_asked: float | None = None
        self._next_report = self._heard = time.monotonic()
        self._lease_until = self._heard + settings.lease_seconds

    def carry_out(self) -> None:
        self._runner.send(run_command(self._claim, self._settings))
        while True:
            event = self._runner.next(self._next_report - time.monotonic())
            if event is not None:
                self._heard = time.monotonic()
            if isinstance(event, Finished | Failed | Stopped | Gone):
                self._end(event)
                return
            if event is not None:
                self._take(event)
            if time.monotonic() >= self._next_report:
                self._report()
            self._watch()

    def _take(self, event: Event) -> None:
        if isinstance(event, Ready):
            self._on_ready(event)
            return
        self._news.add(event)
        if isinstance(event, Checkpointed):
            self._checkpoint = event.checkpoint
            self._next_report = time.monotonic()  # at once: what lies before a stored checkpoint is never done again

    def _report(self) -> None:
        """The heartbeat. A database that does not answer is waited for as long as the lease certainly holds."""
        self._next_report = time.monotonic() + self._settings.heartbeat_seconds
        asked = time.monotonic()
        try:
            with transaction() as session:
                answer = self._put_news(session)
        except DBAPIError as error:
            _log.warning("Run %s could not be reported: %s", self._claim.run_id, error.orig)
            self._lost = self._lost or time.monotonic() > self._lease_until
            return
        if answer is not Answer.LOST:
            self._notify()
        self._news = News()
        self._lease_until = asked + self._settings.lease_seconds
        self._lost = self._lost or answer is Answer.LOST
        if answer is Answer.CANCEL:
            self._ask_to_stop("it is cancelled")

    def _put_news(self, session: Session) -> Answer:
        news, device = self._news, self._runner.device_name
        report = replace(news.report, measured=tuple(news.measured), device=device)
        return runs.report(session, self._claim, report, lease_seconds=self._settings.lease_seconds)

    def _notify(self) -> None:
        """Apart from the report: its failure must not undo, nor repeat, what is stored already."""
        if not self._news.notices:
            return
        try:
            with transaction() as session:
                runs.notify(session, self._claim, self._news.notices)
        except DBAPIError as error:
            _log.warning("Notices of run %s were not stored: %s", self._claim.run_id, error.orig)

    def _watch(self) -> None:
        """Asks the runner to stop where it should, and kills one that does not or that has gone silent."""
        now = time.monotonic()
        if self._lost:
            self._ask_to_stop("it is another worker's now")
        elif self._stopping.is_set():
            self._ask_to_stop("the worker leaves")
        grace = self._settings.stop_grace_seconds if self._runner.ready else 0.0
        if self._stop_asked is not None and now >= self._stop_asked + grace:
            _log.warning("Runner %d did not stop in time and is killed.", self._runner.pid)
            self._runner.kill()
        elif now > self._heard + self._settings.stall_seconds:
            _log.error("Runner %d said nothing for %.0f s and is killed.", self._runner.pid, now - self._heard)
            self._runner.kill()

    def _ask_to_stop(self, why: str) -> None:
        if self._stop_asked is None:
            _log.info("Run %s is told to stop: %s.", self._claim.run_id, why)
            self._stop_asked = time.monotonic()
            self._runner.send(StopCommand())

    def _end(self, event: End) -> None:
        if isinstance(event, Failed) and event.kind in ("internal", "out_of_memory"):
            self._runner.kill()  # a device is truly free, and its state truly clean, only in a new process
        self._store_end(event)
        if self._lost:
            _log.warning("Run %s was lost (fence %d); nothing was written.", self._claim.run_id, self._claim.fence)
            return
        _log.info("Run %s ends: %s.", self._claim.run_id, _in_words(event))
        if isinstance(event, Finished) and self._checkpoint is not None:
            remove_older_checkpoints(self._claim, self._checkpoint, self._settings)

    def _store_end(self, event: End) -> None:
        """Writes the last news and the end in one transaction, as long as the lease certainly holds."""
        while not self._lost:
            try:
                with transaction() as session:
                    self._put_news(session)
                    kept = self._put_end(session, event)
            except DBAPIError as error:
                _log.warning("The end of run %s could not be stored: %s", self._claim.run_id, error.orig)
                time.sleep(min(1.0, self._settings.heartbeat_seconds))
                self._lost = self._stopping.is_set() or time.monotonic() > self._lease_until
                continue
            self._lost = not kept
            if kept:
                self._notify()
            break

    def _put_end(self, session: Session, event: End) -> bool:
        attempts = self._settings.max_attempts
        match event:
            case Finished():
                return runs.finish(session, self._claim, event.result)
            case Failed():
                return runs.fail(session, self._claim, event.kind, event.message, max_attempts=attempts)
            case Gone() if self._stop_asked is None and not self._stopping.is_set():
                return runs.lost(session, self._claim, event.how, max_attempts=attempts)
            case _:
                return runs.release(session, self._claim)


def _in_words(event: End) -> str:
    match event:
        case Finished():
            return f"finished with validation accuracy {event.result.validation_accuracy:.4f}"
        case Failed():
            return f"failed ({event.kind}): {event.message}"
        case Stopped():
            return f"stopped at step {event.step}"
        case Gone():
            return f"its process died {event.how}"
