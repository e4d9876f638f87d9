"""What a person should mend on this worker's machine, as the slots find it and the heartbeat reports it."""

from __future__ import annotations

import time

from service.runs.tries import WAIT_LIMIT_SECONDS

FORGET_SECONDS = 2 * WAIT_LIMIT_SECONDS
"""Trouble that no run has met for so long is over: whoever met it would have tried again by now."""


class Trouble:
    """A full disk, most often. The slots of a worker share one.

    `first_wait`: seconds after the first trouble in which no run is taken. They double with each trouble after a wait,
    up to `WAIT_LIMIT_SECONDS`: the one run that is taken then finds out whether there is room.
    """

    def __init__(self, first_wait: float) -> None:
        self._first_wait = first_wait
        self._sentence: str | None = None
        self._met = self._until = self._wait = 0.0
        self._runs: set[str] = set()

    def meet(self, sentence: str, run_id: str) -> bool:
        """Notes that a run met it. Returns whether it is the first time for this run."""
        first = run_id not in self._runs
        self._sentence, self._met = sentence, time.monotonic()
        if self._met >= self._until:
            self._wait = min(WAIT_LIMIT_SECONDS, max(self._first_wait, 2 * self._wait))
            self._until = self._met + self._wait
        self._runs.add(run_id)
        return first

    def pass_over(self) -> None:
        """A file was written: there is room again."""
        self._sentence = None
        self._until = self._wait = 0.0
        self._runs.clear()

    def is_waiting(self) -> bool:
        """Whether the worker takes no run, as it would most likely meet the same trouble."""
        return time.monotonic() < self._until

    def sentence(self) -> str | None:
        """What is to be mended; None: nothing."""
        return self._sentence if time.monotonic() < self._met + FORGET_SECONDS else None
