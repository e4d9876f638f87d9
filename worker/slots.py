"""The slots of a worker: threads that each own a runner. Tasks only wake them; the database says what is to be done."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Sequence
from contextlib import suppress

from dpk_core.protocol import Ready
from service.database.faults import FAULTS, sentence
from service.database.session import transaction
from service.outbox.service import dispatch
from service.runs import output
from service.runs import service as runs
from service.runs.claims import Claim
from service.settings import Settings
from worker.artifacts import remove_leftovers, remove_old_logs, remove_partial_files
from worker.spool import deliver_all
from worker.supervisor import Supervisor
from worker.trouble import Trouble

TIDY_SECONDS = 6 * 3600.0
"""Time between two looks for files that nobody needs."""

_log = logging.getLogger(__name__)


class Slots:
    """All slots of one worker process.

    A free slot takes the run of a wake-up, and after it whatever waits. It also looks by itself once a sweep interval:
    a worker that has lost its broker without noticing still finds its work.
    """

    def __init__(self, settings: Settings, owner: str, command: Sequence[str]) -> None:
        self.device: str | None = None
        """The device's name, known once a runner is up."""
        self.trouble = Trouble(settings.retry_seconds)
        self._settings, self._owner = settings, owner
        self._stopping = threading.Event()
        self._wakes: queue.Queue[str | None] = queue.Queue(maxsize=settings.slots)
        self._supervisors = [
            Supervisor(
                settings,
                command,
                output.folder(settings.home) / output.name(owner, i),
                self._stopping,
                self._ready,
                self.trouble,
            )
            for i in range(settings.slots)
        ]
        self._threads = [
            threading.Thread(target=self._serve, args=(supervisor,), name=f"slot-{i}", daemon=True)
            for i, supervisor in enumerate(self._supervisors)
        ]

    def start(self) -> None:
        """Starts the threads, and one that tidies up what workers before this one left half done."""
        threading.Thread(target=self._tidy, name="tidy", daemon=True).start()
        for thread in self._threads:
            thread.start()

    def wake(self, run_id: str) -> None:
        """Hints that a run waits. Dropped when every slot has a hint already: a slot goes on until nothing waits."""
        with suppress(queue.Full):
            self._wakes.put_nowait(run_id)

    def stop(self) -> None:
        """Lets every runner write a checkpoint and gives the runs back; returns when all are gone."""
        self._stopping.set()
        for _ in self._threads:
            with suppress(queue.Full):
                self._wakes.put_nowait(None)
        for thread in self._threads:
            thread.join()

    def terminate(self) -> None:
        """Kills every runner; leases run out and the sweep does the rest."""
        self._stopping.set()
        for supervisor in self._supervisors:
            supervisor.kill()

    def _tidy(self) -> None:
        remove_partial_files(self._settings)
        while not self._stopping.is_set():
            remove_leftovers(self._settings)
            remove_old_logs(self._settings)
            self._stopping.wait(TIDY_SECONDS)

    def _ready(self, ready: Ready) -> None:
        self.device = ready.device_name

    def _serve(self, supervisor: Supervisor) -> None:
        while not self._stopping.is_set():
            run_id = None
            with suppress(queue.Empty):
                run_id = self._wakes.get(timeout=self._settings.sweep_seconds)
            try:
                deliver_all(self._settings)  # before a run is taken that has ended already
                self._work(supervisor, run_id)
            except FAULTS as error:
                _log.warning("%s", sentence(error))
            except Exception:
                _log.exception("A slot met an error; its run goes back when the lease runs out.")
                supervisor.kill()
        supervisor.close()

    def _work(self, supervisor: Supervisor, run_id: str | None) -> None:
        # What is claimed is carried out, also when the worker is asked to leave meanwhile: that gives the run back.
        while not self._stopping.is_set() and (claim := self._claim(run_id)) is not None:
            supervisor.carry_out(claim)
            dispatch()
            run_id = None

    def _claim(self, hint: str | None) -> Claim | None:
        """The run of the hint if it can be had, else the one that has waited longest."""
        if self.trouble.is_waiting():
            return None
        lease, attempts = self._settings.lease_seconds, self._settings.max_attempts
        with transaction() as session:
            hinted = None
            if hint is not None:
                hinted = runs.claim(session, hint, self._owner, lease_seconds=lease, max_attempts=attempts)
            return hinted or runs.claim_next(session, self._owner, lease_seconds=lease, max_attempts=attempts)
