"""Work that a thread does again and again while the worker lives."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from service.database.faults import FAULTS, is_away, words

_log = logging.getLogger(__name__)


class Periodic:
    """A thread that calls `work`, waits for `seconds`, and begins anew, whatever went wrong.

    `work` returns True where there is more to do at once.
    """

    def __init__(self, name: str, work: Callable[[], bool | None], seconds: float) -> None:
        self._name, self._work, self._seconds = name, work, seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name=name, daemon=True)

    @property
    def stopping(self) -> bool:
        """Whether it was asked to end: work that takes long ends early."""
        return self._stopping.is_set()

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self, within_seconds: float | None = None) -> None:
        """Ends the thread, and waits for it, at most so long."""
        self.terminate()
        self._thread.join(within_seconds)

    def terminate(self) -> None:
        """Ends the thread without waiting for it."""
        self._stopping.set()

    def _go_on(self) -> None:
        while not self._stopping.is_set():
            try:
                if self._work():
                    continue
            except Exception as error:
                if isinstance(error, FAULTS) and is_away(error):
                    _log.warning("The %s waits for the database: %s", self._name, words(error))
                else:
                    _log.exception("The %s met an error and goes on with the next.", self._name)
            self._stopping.wait(self._seconds)
