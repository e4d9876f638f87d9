"""Looks at a job until it is over, through restarts of the server and proxies that answer in its place."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from client.errors import ClientError, ForeignAnswer, ServerProblem, ServerUnreachable, TimeIsOver
from service.presentation.numbers import duration
from service.scheduling.states import JobState
from service.wire.jobs import Job

FINAL_STATES: frozenset[JobState] = frozenset({"finished", "failed", "cancelled"})
PATIENCE = 120.0
"""Seconds without an answer after which watching gives up; a restart takes less."""
NOTICED = 3.0
"""Seconds without an answer after which the absence is reported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """How to watch; see `client.sdk.Client.watch`."""

    every: float
    timeout: float | None
    patience: float
    notice: Callable[[str], None]
    while_away: Callable[[], None]


def watch(look: Callable[[float], Job], how: Watch, server: str) -> Iterator[Job]:
    """The job at each look until it is over. `look` gets the seconds that it may take.

    Raises TimeIsOver; ServerUnreachable when the patience ends; and whatever asking again cannot change.
    """
    start = time.monotonic()
    job: Job | None = None
    away: float | None = None
    noticed = False
    while True:
        try:
            job = look(max(1.0, _left(how, start)))
        except (ServerUnreachable, ServerProblem) as error:
            if not _may_pass(error, known=job is not None):
                raise
            now = time.monotonic()
            away = now if away is None else away
            if now - away >= how.patience:
                raise _given_up(how, server, job, error) from error
            if not noticed and now - away >= NOTICED:
                how.notice(_absence(how, server, job, error))
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
            raise TimeIsOver(_over(how, server, job))
        time.sleep(min(how.every, left))  # the interval between two polls, cut off by the time limit


def _left(how: Watch, start: float) -> float:
    return math.inf if how.timeout is None else how.timeout - (time.monotonic() - start)


def _may_pass(error: ServerUnreachable | ServerProblem, *, known: bool) -> bool:
    """Whether asking again may help: nothing answers, or not now. Something foreign answers in the server's place for a
    while only where the server is `known` to be there."""
    if isinstance(error, ServerProblem):
        return error.problem.status >= 500
    return known or not isinstance(error, ForeignAnswer)


def _absence(how: Watch, server: str, job: Job | None, error: ClientError) -> str:
    patience = duration(how.patience)
    if job is None:
        return f"{error} Trying again for up to {patience}."
    return f"The server at {server} does not answer; trying again for up to {patience}."


def _given_up(how: Watch, server: str, job: Job | None, error: ClientError) -> ClientError:
    if job is None:
        return error
    return ServerUnreachable(
        f"The server at {server} has not answered for {duration(how.patience)}. The job is stored. {_again(job)}"
    )


def _over(how: Watch, server: str, job: Job | None) -> str:
    limit = duration(how.timeout or 0.0)
    if job is None:
        return f"The server at {server} has not answered for {limit}; the job, if there is one, is stored."
    return f"The job is {job.state} after {limit}; it goes on. {_again(job)}"


def _again(job: Job) -> str:
    return f"Follow it again: dpk watch {job.id}"
