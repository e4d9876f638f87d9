"""Sends messages to webhooks on threads of its own: a receiver that hangs holds up neither a job nor a sweep.

There is no task for it: a message waits in the database until its time has come, and a claim on it decides between all
threads of all workers.
"""

from __future__ import annotations

import time

from service.webhooks.sending import send_next
from worker.periodic import Periodic

THREADS = 4
POLL_SECONDS = 1.0
"""Between two looks at what is due."""
LEAVE_SECONDS = 5.0
"""A try is given to its end when the worker leaves. It is made anew, with the same id, where it took longer."""


class WebhookSender:
    """Threads that each try one message after another, until none is due."""

    def __init__(self) -> None:
        self._threads = [Periodic(f"webhook sender {i}", send_next, POLL_SECONDS) for i in range(THREADS)]

    def start(self) -> None:
        """Starts the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ends the threads; returns when they are over, or soon after."""
        self.terminate()
        deadline = time.monotonic() + LEAVE_SECONDS
        for thread in self._threads:
            thread.stop(max(0.0, deadline - time.monotonic()))

    def terminate(self) -> None:
        """Ends the threads without waiting for them."""
        for thread in self._threads:
            thread.terminate()
