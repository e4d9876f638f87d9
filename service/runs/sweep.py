"""Finds what was lost: leases that ran out and messages that nobody answered. Safe to do often and by many at once."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy.orm import Session

from service.database.types import utc_now
from service.outbox import repository as outbox
from service.runs import repository
from service.runs.service import end_used_up, give_back_or_end, settle_stranded, times
from service.webhooks import repository as webhooks

LIMIT = 100
"""Rows one sweep touches of each sort, so that it stays short; the next sweep goes on."""

KEEP_MESSAGES = timedelta(hours=1)
KEEP_DELIVERIES = timedelta(days=30)
FORGET_WORKERS_SECONDS = 86_400.0


def sweep(
    session: Session, *, resend_seconds: float, max_attempts: int, silence_seconds: float = 30.0,
    refused_after: str = "",
) -> str:  # fmt: skip
    """Gives back runs of lost workers, writes messages again that are older than `resend_seconds`, purges.

    Returns where the next sweep goes on with refused runs (`refused_after`); empty: from the first one on.

    Messages to training workers are written again only while one was heard of in the last `silence_seconds`: without a
    consumer they would pile up in the queue, and a worker that starts looks for queued runs by itself.
    A run that every worker heard of in the last `silence_seconds` has refused for as long has failed.
    """
    for run in repository.expired(session, LIMIT):
        message = f"The worker that carried out the training was lost {times(run)}."
        give_back_or_end(session, run, message, max_attempts)
    for run in repository.used_up(session, max_attempts, LIMIT):
        end_used_up(session, run, max_attempts)
    refused = repository.refused_runs(session, after=refused_after, limit=LIMIT)
    for run in refused:
        settle_stranded(session, run, silence_seconds=silence_seconds)
    if repository.living_workers(session, silence_seconds):
        for run in repository.unheard(session, resend_seconds, LIMIT):
            repository.send(session, run)
    webhooks.purge(session, before=utc_now() - KEEP_DELIVERIES, limit=LIMIT)
    outbox.purge(session, before=utc_now() - KEEP_MESSAGES, limit=LIMIT)
    repository.drop_workers(session, unseen_seconds=FORGET_WORKERS_SECONDS)
    return refused[-1].id if len(refused) == LIMIT else ""
