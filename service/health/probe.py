"""Readiness for several pollers at once: asked once at a time, beside the threads of requests, and in bounded time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import anyio
from anyio import CapacityLimiter, to_thread

from service.health.schemas import Readiness
from service.problems import Unavailable

LONGEST_SECONDS = 9.0
"""The checks have time-outs of their own; this is for what has none, such as a name server that is silent."""


class Probe:
    """Whoever asks while `check` is under way gets what it finds."""

    def __init__(self, check: Callable[[], Readiness], seconds: float = LONGEST_SECONDS) -> None:
        self._check = check
        self._seconds = seconds
        self._under_way: asyncio.Task[Readiness] | None = None

    async def ask(self) -> Readiness:
        """What `check` returns or raises. Raises Unavailable when it takes too long."""
        if self._under_way is None or self._under_way.done():
            self._under_way = asyncio.create_task(self._run())
            self._under_way.add_done_callback(_take_notice)
        # A poller that leaves does not end the check for the others.
        return await asyncio.shield(self._under_way)

    async def _run(self) -> Readiness:
        # Of its own: the threads of requests may all be busy, and that is no reason to be restarted.
        with anyio.move_on_after(self._seconds):
            return await to_thread.run_sync(self._check, abandon_on_cancel=True, limiter=CapacityLimiter(1))
        raise Unavailable(f"The checks did not end within {self._seconds:.0f} s.")


def _take_notice(task: asyncio.Task[Readiness]) -> None:
    """Also where every poller has left; asyncio would complain of an error that nobody looked at."""
    if not task.cancelled():
        task.exception()
