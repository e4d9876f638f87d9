"""Once a sweep interval every worker says that it lives."""

from __future__ import annotations

import logging
from collections.abc import Callable

from service.database.faults import FAULTS, words
from service.database.session import transaction
from service.runs import repository
from service.settings import Settings
from worker.periodic import Periodic

_log = logging.getLogger(__name__)


class WorkerHeartbeat:
    """A thread that does nothing else: no work that takes long may make the worker look dead."""

    def __init__(
        self, settings: Settings, worker_id: str, queues: tuple[str, ...], device: Callable[[], str | None],
        trouble: Callable[[], str | None] = lambda: None,
    ) -> None:  # fmt: skip
        self._settings, self._worker_id, self._queues = settings, worker_id, queues
        self._device, self._trouble = device, trouble
        self._begun = False
        self._periodic = Periodic("heartbeat", self.beat, settings.sweep_seconds)

    def start(self) -> None:
        """Starts the thread."""
        self._periodic.start()

    def stop(self) -> None:
        """Ends the thread and takes the worker's row away."""
        self._periodic.stop()
        try:
            with transaction() as session:
                repository.drop_worker(session, self._worker_id)
        except FAULTS as error:
            _log.warning("The worker's row stays until it is forgotten: %s", words(error))

    def terminate(self) -> None:
        """Ends the thread without waiting for it."""
        self._periodic.terminate()

    def beat(self) -> None:
        """One beat."""
        with transaction() as session:
            repository.put_worker(
                session, self._worker_id, queues=",".join(self._queues),
                slots=self._settings.slots if "runs" in self._queues else 0,
                device=self._device(), trouble=self._trouble(),
            )  # fmt: skip
            if not self._begun:
                repository.forget_refusals(session, self._worker_id)
        self._begun = True
