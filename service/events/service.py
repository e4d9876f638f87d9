"""A job's events as they happen. They are read from the database, because other processes write them there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable

from anyio import to_thread

from service.database.faults import FAULTS, words
from service.database.session import reading
from service.events import repository
from service.events.schemas import LAST_KINDS, JobEvent
from service.problems import NotFound
from service.scheduling import repository as jobs

BATCH = 200
POLL_SECONDS = 0.5
AWAY_SECONDS = 2.0
"""Until a database that failed is asked again."""

_log = logging.getLogger(__name__)


def read(job_id: str, after: int) -> list[JobEvent]:
    """The job's next events after `after`."""
    with reading() as session:
        return [
            JobEvent.model_validate(
                {"id": row.id, "kind": row.kind, "data": row.data, "created_at": row.created_at}, strict=True
            )
            for row in repository.after(session, job_id, after, BATCH)
        ]


def is_over(job_id: str, after: int) -> bool:
    """Whether nothing will ever come after `after`. Raises NotFound when there is no such job."""
    with reading() as session:
        job = jobs.find(session, job_id)
        if job is None:
            raise NotFound(f"There is no selection job {job_id!r}.")
        return job.state in LAST_KINDS and not repository.after(session, job_id, after, 1)


async def follow(job_id: str, after: int, closing: Callable[[], bool]) -> AsyncIterator[JobEvent]:
    """Every event after `after`, up to the last one of a job that is over, or until `closing` says that the server is
    about to end."""
    while not closing():
        try:
            events = await to_thread.run_sync(read, job_id, after)
            # A job that was over may have been let run again since, or have been named: what came last says nothing.
            may_end = not events or events[-1].kind in LAST_KINDS
            over = may_end and await to_thread.run_sync(is_over, job_id, events[-1].id if events else after)
        except FAULTS as error:
            # An EventSource does not come back after a 503, so the stream stays and waits for the database.
            _log.warning("A stream of events waits for the database: %s", words(error))
            await asyncio.sleep(AWAY_SECONDS)
            continue
        for event in events:
            yield event
            after = event.id
        if over:
            return
        if not events:
            await asyncio.sleep(POLL_SECONDS)
