"""What may come next on a command line: choices, and the ids of jobs."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection

from client.address import DEFAULT_SERVER
from client.errors import ClientError

MOST_JOBS = 20


def one_of(choices: Collection[str]) -> Callable[[str], list[str]]:
    """Completes an option that takes one of `choices`."""

    def complete(incomplete: str) -> list[str]:
        return [choice for choice in choices if choice.startswith(incomplete)]

    return complete


def job_ids(incomplete: str) -> list[tuple[str, str]]:
    """The newest jobs whose ids begin so, with what they ask; nothing where no server answers."""
    from client.sdk import Client  # loads everything else

    try:
        with Client(os.environ.get("DPK_SERVER", DEFAULT_SERVER), attempts=1) as client:
            found = client.jobs(prefix=incomplete or None, limit=MOST_JOBS).jobs
    except ClientError:
        return []
    return [(job.id, f"{job.state}, {job.request.student} on {job.request.dataset}") for job in found]
