"""Carries out one claim at a time with one runner, which stays warm between claims."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from sqlalchemy.orm import Session

from dpk_core import disk
from dpk_core.protocol import (
    Checkpoint,
    Checkpointed,
    Event,
    Failed,
    FailureKind,
    Finished,
    Measured,
    Noticed,
    Progressed,
    Ready,
    Started,
    StopCommand,
    Stopped,
)
from service.database.faults import FAULTS, words
from service.database.session import transaction
from service.runs import output
from service.runs import service as runs
from service.runs.claims import Answer, Claim, Ended, Report
from service.runs.delivery import deliver
from service.settings import Settings
from worker import spool
from worker.artifacts import remove_older_checkpoints, run_command
from worker.runner_process import Gone, RunnerProcess
from worker.trouble import Trouble

_log = logging.getLogger(__name__)

End = Finished | Failed | Stopped | Gone


@dataclass(slots=True)
class PendingReport:
    """What the runner said since the last report that reached the database."""

    report: Report = field(default_factory=Report)
    measured: list[Measured] = field(default_factory=list)
    notices: list[Noticed] = field(default_factory=list)

    def add(self, event: Event) -> None:
        """Applies a runner event to the pending report."""
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
    """One slot's runner. All methods but `kill` are called from the slot's own thread, which outlives the runner."""

    def __init__(
        self, settings: Settings, command: Sequence[str], log: Path, stopping: threading.Event,
        on_ready: Callable[[Ready], None], trouble: Trouble,
    ) -> None:  # fmt: skip
        self._settings, self._command, self._log_file = settings, command, log
        self._stopping, self._on_ready, self._trouble = stopping, on_ready, trouble
        self._runner: RunnerProcess | None = None

    def carry_out(self, claim: Claim) -> None:
        """Returns when the run is over, given back or lost; the runner may be warm or gone then."""
        if self._runner is None or self._runner.gone:
            try:
                self._runner = RunnerProcess(self._command, self._log_file)
            except OSError as error:
                self._give_back(claim, error)
                return
        _log.info("Run %s begins (fence %d).", claim.run_id, claim.fence)
        output.begin(self._log_file, claim.run_id)
        _Attempt(self._settings, self._runner, claim, self._stopping, self._on_ready, self._trouble).carry_out()

    def _give_back(self, claim: Claim, error: OSError) -> None:
        """No runner could be started: no room for its log, no process to be had."""
        kind: FailureKind = "internal"
        message = f"The training process could not be started on {disk.machine()}: {error.strerror or error}."
        if disk.trouble(error):
            kind, message = "disk_full", disk.sentence(error, self._log_file)
            self._trouble.meet(message, claim.run_id)
        _log.error("Run %s is given back: %s", claim.run_id, message)
        attempts, wait = self._settings.max_attempts, self._settings.retry_seconds
        with transaction() as session:
            runs.fail(session, claim, kind, message, max_attempts=attempts, retry_seconds=wait)

    def close(self) -> None:
        """Ends the runner."""
        if self._runner is not None:
            self._runner.close(self._settings.stop_grace_seconds)
            self._runner = None

    def kill(self) -> None:
        """Ends the runner at once. Any thread may call it, also while the slot's own closes the runner."""
        if (runner := self._runner) is not None:
            runner.kill()


class _Attempt:
    """One claim in one runner, from the command to the last word."""

    def __init__(
        self, settings: Settings, runner: RunnerProcess, claim: Claim, stopping: threading.Event,
        on_ready: Callable[[Ready], None], trouble: Trouble,
    ) -> None:  # fmt: skip
        self._settings, self._runner, self._claim = settings, runner, claim
        self._stopping, self._on_ready, self._trouble = stopping, on_ready, trouble
        self._pending = PendingReport()
        self._checkpoint: Checkpoint | None = None
        self._lost = False
        """Another worker holds the run, or nobody needs it: nothing is to be written."""
        self._cut_off = False
        """The database has been away for as long as the lease certainly held."""
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
        self._pending.add(event)
        if isinstance(event, Checkpointed):
            self._checkpoint = event.checkpoint
            self._trouble.pass_over()
            self._next_report = time.monotonic()  # at once: what lies before a stored checkpoint is never done again

    def _report(self) -> None:
        """The heartbeat. A database that does not answer is waited for as long as the lease certainly holds."""
        self._next_report = time.monotonic() + self._settings.heartbeat_seconds
        asked = time.monotonic()
        try:
            with transaction() as session:
                answer = self._put_pending(session)
        except FAULTS as error:
            _log.warning("Run %s could not be reported: %s", self._claim.run_id, words(error))
            self._cut_off = time.monotonic() > self._lease_until
            return
        if answer is not Answer.LOST:
            self._notify()
            if (recorded := self._pending.report.checkpoint) is not None:
                remove_older_checkpoints(recorded, self._settings)
        self._pending = PendingReport()
        self._lease_until = asked + self._settings.lease_seconds
        self._lost, self._cut_off = self._lost or answer is Answer.LOST, False
        if answer is Answer.CANCEL:
            self._ask_to_stop("it is cancelled")

    def _put_pending(self, session: Session) -> Answer:
        pending, device = self._pending, self._runner.device_name
        report = replace(
            pending.report, measured=tuple(pending.measured), notices=tuple(pending.notices), device=device
        )  # fmt: skip
        return runs.report(session, self._claim, report, lease_seconds=self._settings.lease_seconds)

    def _notify(self) -> None:
        """Apart from the report: its failure must not undo, nor repeat, what is stored already."""
        if not self._pending.notices:
            return
        try:
            with transaction() as session:
                runs.notify(session, self._claim.run_id, self._pending.notices)
        except FAULTS as error:
            _log.warning("Notices of run %s were not stored: %s", self._claim.run_id, words(error))

    def _watch(self) -> None:
        """Asks the runner to stop where it should, and kills one that does not or that has gone silent."""
        now = time.monotonic()
        if self._lost:
            self._ask_to_stop("it is another worker's now")
        elif self._cut_off:
            self._ask_to_stop("the database is away, and its lease may have run out")
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
            _log.info("Run %s is asked to stop: %s.", self._claim.run_id, why)
            self._stop_asked = time.monotonic()
            self._runner.send(StopCommand())

    def _end(self, event: End) -> None:
        if isinstance(event, Failed):
            self._look_at(event)
        stored = self._store_end(event)
        if stored:
            _log.info("Run %s ends: %s.", self._claim.run_id, _in_words(event))
        if stored and self._checkpoint is not None:
            result = event.result if isinstance(event, Finished) else None
            remove_older_checkpoints(self._checkpoint, self._settings, result)

    def _look_at(self, failed: Failed) -> None:
        """What a failure means for this worker, and what its jobs are notified of."""
        if failed.kind in ("internal", "out_of_memory"):
            self._runner.kill()  # a device is truly free, and its state truly clean, only in a new process
        note = None
        if failed.kind == "missing_here":
            note = f"{failed.message} The training is left to another worker."
        elif failed.kind == "disk_full" and self._trouble.meet(failed.message, self._claim.run_id):
            note = failed.message
        if note is not None:
            self._pending.notices.append(Noticed(run_id=self._claim.run_id, level="warning", message=note))

    def _store_end(self, event: End) -> bool:
        """Writes the pending report and the end in one transaction; returns whether that is done.

        While the database is away, what the runner said last goes to the spool. The death of a runner, and what the
        spool cannot take, is tried for as long as the lease certainly holds; what took a whole training, until the
        worker leaves.
        """
        while not self._lost:
            try:
                with transaction() as session:
                    stored = self._put(session, event)
            except FAULTS as error:
                _log.warning("The end of run %s could not be stored: %s", self._claim.run_id, words(error))
                ended = isinstance(event, Finished | Failed)
                if not isinstance(event, Gone) and spool.keep(self._ended(event), self._settings):
                    _log.info("Run %s ends: %s. It waits in the spool.", self._claim.run_id, _in_words(event))
                    return False
                self._cut_off = time.monotonic() > self._lease_until
                if self._stopping.is_set() or (self._cut_off and not ended):
                    break
                time.sleep(min(1.0, self._settings.heartbeat_seconds))
                continue
            if stored:
                self._notify()
                return True
            break
        _log.warning("Run %s was lost (fence %d); nothing was written.", self._claim.run_id, self._claim.fence)
        return False

    def _put(self, session: Session, event: End) -> bool:
        if self._cut_off and not isinstance(event, Gone):
            attempts, wait = self._settings.max_attempts, self._settings.retry_seconds
            return deliver(session, self._ended(event), max_attempts=attempts, retry_seconds=wait)
        self._put_pending(session)
        return self._put_end(session, event)

    def _ended(self, event: Finished | Failed | Stopped) -> Ended:
        pending, device = self._pending, self._runner.device_name
        report = replace(
            pending.report, measured=tuple(pending.measured), device=device, checkpoint=self._checkpoint
        )  # fmt: skip
        return Ended(
            run_id=self._claim.run_id, fence=self._claim.fence, earlier_seconds=self._claim.earlier_seconds,
            report=report, notices=tuple(pending.notices), end=event,
        )  # fmt: skip

    def _put_end(self, session: Session, event: End) -> bool:
        attempts, wait = self._settings.max_attempts, self._settings.retry_seconds
        match event:
            case Finished():
                return runs.finish(session, self._claim, event.result)
            case Failed():
                kind, message = event.kind, event.message
                return runs.fail(
                    session, self._claim, kind, message, max_attempts=attempts, retry_seconds=wait
                )  # fmt: skip
            case Gone() if self._stop_asked is None and not self._stopping.is_set():
                return runs.lost(session, self._claim, event.how, max_attempts=attempts, retry_seconds=wait)
            case _:
                return runs.release(session, self._claim)


def _in_words(event: End) -> str:
    match event:
        case Finished():
            return f"finished with validation accuracy {event.result.validation_score:.4f}"
        case Failed():
            return f"failed ({event.kind}): {event.message.removesuffix('.')}"
        case Stopped():
            return f"stopped at step {event.step}"
        case Gone():
            return f"its process died {event.how}"
