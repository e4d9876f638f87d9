"""Once a sweep interval every worker says that it lives; one that serves `control` also finds what was lost."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from service.database.documents import Unreadable
from service.database.faults import FAULTS, is_away, words
from service.database.session import transaction
from service.outbox.service import dispatch
from service.runs import repository
from service.runs.sweep import sweep
from service.scheduling.advance import advance_job
from service.settings import Settings
from worker.spool import deliver_all

RESEND_SWEEPS = 6
"""A message that nobody has answered for so many sweep intervals is sent again."""

JOBS_PER_SWEEP = 20

_log = logging.getLogger(__name__)


class WorkerHeartbeat:
    """A thread of its own: the same with every transport, and a slow database holds up no message."""

    def __init__(
        self, settings: Settings, worker_id: str, queues: tuple[str, ...], device: Callable[[], str | None],
        trouble: Callable[[], str | None] = lambda: None,
    ) -> None:  # fmt: skip
        self._settings, self._worker_id, self._queues = settings, worker_id, queues
        self._device, self._trouble = device, trouble
        self._begun = False
        self._last_job = ""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread and takes the worker's row away."""
        self._stopping.set()
        self._thread.join()
        try:
            with transaction() as session:
                repository.drop_worker(session, self._worker_id)
        except FAULTS as error:
            _log.warning("The worker's row stays until it is forgotten: %s", words(error))

    def terminate(self) -> None:
        """Ends the thread without waiting for it."""
        self._stopping.set()

    def beat(self) -> None:
        """One beat."""
        slots = self._settings.slots if "runs" in self._queues else 0
        queues = ",".join(self._queues)
        with transaction() as session:
            repository.put_worker(
                session, self._worker_id, queues=queues, slots=slots, device=self._device(), trouble=self._trouble()
            )
            if not self._begun:
                repository.forget_refusals(session, self._worker_id)
        self._begun = True
        if slots:
            deliver_all(self._settings)
        if "control" in self._queues:
            self._sweep()
        dispatch()

    def _sweep(self) -> None:
        resend = RESEND_SWEEPS * self._settings.sweep_seconds
        with transaction() as session:
            sweep(
                session, resend_seconds=resend, max_attempts=self._settings.max_attempts,
                silence_seconds=self._settings.silence_seconds,
            )  # fmt: skip
            jobs = repository.live_jobs(session, after=self._last_job, limit=JOBS_PER_SWEEP)
        for job_id in jobs:
            self._advance(job_id)
        self._last_job = jobs[-1] if len(jobs) == JOBS_PER_SWEEP else ""

    def _advance(self, job_id: str) -> None:
        try:
            with transaction() as session:
                advance_job(session, job_id)
        except Unreadable as error:
            _log.error("Job %s could not be advanced; the others go on. %s", job_id, error)
        except Exception as error:
            if is_away(error):
                raise
            _log.exception("Job %s could not be advanced; the others go on.", job_id)

    def _beat(self) -> None:
        while not self._stopping.is_set():
            try:
                self.beat()
            except FAULTS as error:
                _log.warning("The sweep could not reach the database: %s", words(error))
            except Exception:
                _log.exception("The sweep met an error and goes on with the next.")
            self._stopping.wait(self._settings.sweep_seconds)
