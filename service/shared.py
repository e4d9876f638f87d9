"""One piece of work for all who ask for the same at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from fastapi.concurrency import run_in_threadpool

Key = TypeVar("Key")
Result = TypeVar("Result")


PAUSE = 0.001
"""Seconds between one piece of work and the next for the same key, so that whoever got the one and asks again at once
shares the next with all others, and a busy server works less often."""


class Shared(Generic[Key, Result]):
    """Does `work(key)` in the thread pool, one at a time for each key.

    Nobody gets the result of work that began before they asked: who asks while work is under way waits for the next
    one, together with all others who do.
    """

    def __init__(self, work: Callable[[Key], Result]) -> None:
        self._work = work
        self._begun: dict[Key, asyncio.Task[Result]] = {}
        self._next: dict[Key, asyncio.Task[Result]] = {}

    async def __call__(self, key: Key) -> Result:
        """The result of work that begins after now. Raises what the work raises."""
        if key not in self._next:
            self._next[key] = asyncio.create_task(self._do(key, self._begun.get(key)))
        # One client that goes away must not end the work of the others.
        return await asyncio.shield(self._next[key])

    async def _do(self, key: Key, before: asyncio.Task[Result] | None) -> Result:
        if before is not None:
            await asyncio.wait([before])
            await asyncio.sleep(PAUSE)
        self._begun[key] = self._next.pop(key)
        try:
            return await run_in_threadpool(self._work, key)
        finally:
            del self._begun[key]
