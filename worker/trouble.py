"""What a person should mend on this worker's machine, as the slots find it and the pulse tells it."""

from __future__ import annotations

import time

from service.runs.tries import WAIT_LIMIT_SECONDS

FORGET_SECONDS = 2 * WAIT_LIMIT_SECONDS
"""Trouble that no run has met for so long is over: whoever met it would have tried again by now."""


class Trouble:
    """A full disk, most often. The slots of a worker share one."""

    def __init__(self) -> None:
        self._sentence: str | None = None
        self._met = 0.0
        self._runs: set[str] = set()

    def meet(self, sentence: str, run_id: str) -> bool:
        """Notes that a run met it. Returns whether it is the first time for this run."""
        first = run_id not in self._runs
        self._sentence, self._met = sentence, time.monotonic()
        self._runs.add(run_id)
        return first

    def pass_over(self) -> None:
        """A file was written: there is room again."""
        self._sentence = None
        self._runs.clear()

    def sentence(self) -> str | None:
        """What is to be mended; None: nothing."""
        return self._sentence if time.monotonic() < self._met + FORGET_SECONDS else None
