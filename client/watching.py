"""Looks at a job until it is over, through restarts of the server and proxies that answer in its place."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from client.errors import ServerProblem, ServerUnreachable, TimeIsOver
from service.selection_jobs.schemas import Job, JobState
from service.wording import duration

FINAL_STATES: frozenset[JobState] = frozenset({"finished", "failed", "cancelled"})
PATIENCE = 120.0
"""Seconds without an answer after which watching gives up; a restart takes less."""
NOTICED = 3.0
"""Seconds without an answer after which a person is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """How to watch; see `client.sdk.Client.watch`."""

    every: float
    timeout: float | None
    patience: float
    notice: Callable[[str], None]
    while_away: Callable[[], None]


def watch(look: Callable[[float, int | None], Job], how: Watch, server: str) -> Iterator[Job]:
    """The job at each look until it is over. `look` gets the seconds that it may take and how often it may try, None:
    the usual number.

    Raises TimeIsOver; ServerUnreachable when the patience ends; and what the first look raises.
    """
    start = time.monotonic()
    job: Job | None = None
    away: float | None = None
    noticed = False
    while True:
        try:
            job = look(max(1.0, _left(how, start)), None if job is None else 1)
        except (ServerUnreachable, ServerProblem) as error:
            if job is None or not _may_pass(error):
                raise
            now = time.monotonic()
            away = now if away is None else away
            if now - away >= how.patience:
                raise _given_up(how, server, job) from error
            if not noticed and now - away >= NOTICED:
                how.notice(f"The server at {server} does not answer; trying again for up to {duration(how.patience)}.")
                noticed = True
            how.while_away()
        else:
            if noticed:
                how.notice(f"The server at {server} answers again.")
            away, noticed = None, False
            yield job
            if job.state in FINAL_STATES:
                return
        left = _left(how, start)
        if left <= 0.0:
            raise TimeIsOver(f"The job is {job.state} after {duration(how.timeout or 0.0)}; it goes on. {_again(job)}")
        time.sleep(min(how.every, left))


def _left(how: Watch, start: float) -> float:
    return math.inf if how.timeout is None else how.timeout - (time.monotonic() - start)


def _given_up(how: Watch, server: str, job: Job) -> ServerUnreachable:
    return ServerUnreachable(
        f"The server at {server} has not answered for {duration(how.patience)}. The job is stored. {_again(job)}"
    )


def _again(job: Job) -> str:
    return f"Follow it again: dpk watch {job.id}"


def _may_pass(error: ServerUnreachable | ServerProblem) -> bool:
    """Whether asking again may help: nothing or something foreign answers, or the server cannot serve at the moment."""
    return isinstance(error, ServerUnreachable) or error.problem.status >= 500
