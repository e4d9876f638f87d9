"""Once a sweep interval a worker delivers what waits in the spool; one that serves `control` finds what was lost."""

from __future__ import annotations

import logging

from service.database.documents import Unreadable
from service.database.faults import is_away
from service.database.session import transaction
from service.outbox.service import dispatch
from service.runs import repository
from service.runs.sweep import sweep
from service.scheduling.advance import advance_job
from service.settings import Settings
from worker.periodic import Periodic
from worker.spool import deliver_all

RESEND_SWEEPS = 6
"""A message that nobody has answered for so many sweep intervals is sent again."""

JOBS_PER_SWEEP = 20

_log = logging.getLogger(__name__)


class Sweeper:
    """A thread of its own: the same with every transport, and a slow database holds up no message."""

    def __init__(self, settings: Settings, queues: tuple[str, ...]) -> None:
        self._settings, self._queues = settings, queues
        self._last_job = self._last_refused = ""
        self._periodic = Periodic("sweep", self.sweep, settings.sweep_seconds)

    def start(self) -> None:
        """Starts the thread."""
        self._periodic.start()

    def stop(self) -> None:
        """Ends the thread; returns when it is over."""
        self._periodic.stop()

    def terminate(self) -> None:
        """Ends the thread without waiting for it."""
        self._periodic.terminate()

    def sweep(self) -> None:
        """One sweep."""
        if "runs" in self._queues:
            deliver_all(self._settings)
        if "control" in self._queues:
            self._find_lost()
        dispatch()

    def _find_lost(self) -> None:
        resend = RESEND_SWEEPS * self._settings.sweep_seconds
        with transaction() as session:
            self._last_refused = sweep(
                session, resend_seconds=resend, max_attempts=self._settings.max_attempts,
                silence_seconds=self._settings.silence_seconds, refused_after=self._last_refused,
            )  # fmt: skip
            jobs = repository.live_jobs(session, after=self._last_job, limit=JOBS_PER_SWEEP)
        for job_id in jobs:
            if self._periodic.stopping:
                return
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
