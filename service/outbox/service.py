"""Messages are written with the change that makes them necessary and leave only after its commit.

A dispatcher that dies between sending and marking sends again; two at once may both send. Every task is idempotent, so
that is harmless. A broker that is down leaves the rows unsent; the next dispatch or sweep sends them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from kombu.exceptions import KombuError
from sqlalchemy.orm import Session

from service.database.faults import FAULTS, words
from service.database.session import reading, transaction
from service.outbox import broker, repository

BATCH = 100
"""Messages one dispatch sends at most, so that it ends soon."""

_log = logging.getLogger(__name__)


def enqueue(session: Session, task: broker.Task, subject_id: str) -> None:
    """Writes a message in the caller's transaction. Call `dispatch` after the commit."""
    repository.add(session, task, subject_id)


def dispatch(send: Callable[[str, str], None] = broker.send) -> int:
    """Sends what is unsent, outside of any transaction; returns how many left. Never raises for a broker's fault.

    Nor for the database's: it runs after an answer has left, and what it could not send or mark is sent by a sweep.
    """
    try:
        return _dispatch(send)
    except FAULTS as error:
        _log.warning("Messages wait for the database: %s", words(error))
        return 0


def _dispatch(send: Callable[[str, str], None]) -> int:
    with reading() as session:
        # A task of another version waits for a process of that version, and holds up no other.
        unsent = repository.unsent(session, broker.QUEUES.keys(), BATCH)
        waiting = [(row.id, row.task, row.subject_id) for row in unsent]
    sent: list[int] = []
    for number, task, subject_id in waiting:
        try:
            send(task, subject_id)
        except (KombuError, OSError) as error:
            _log.warning("The queue cannot be reached; %d messages wait: %s", len(waiting) - len(sent), error)
            break
        sent.append(number)
    if sent:
        with transaction() as session:
            repository.mark_sent(session, sent)
    return len(sent)
