"""Idempotency keys: the same key with the same request is the same job, as long as data and weights are the same.

Where they changed, the answer of then is no answer to the question of today: the key goes over to a new job, which
says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from service.database.documents import read_stored
from service.database.session import reading
from service.database.tables import IdempotencyKey, SelectionJob
from service.events import repository as events
from service.problems import Rejected
from service.scheduling import repository
from service.scheduling.plan import Plan
from service.selection_jobs.changes import changes, data_now

LONGEST_KEY = 255
"""Characters of a key."""
Outdated = Callable[[SelectionJob], str | None]
"""Why a job is no answer any more, in a sentence; None where it is one."""


class Overtaken(Exception):
    """Another submission has bound the key in the meantime."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """The job that a key stands for, and what changed since, each in a sentence."""

    job_id: str
    changes: list[str]

    @property
    def notice(self) -> str:
        """What to tell whoever sent the key again."""
        return " ".join(
            [*self.changes, f"The key stood for job {self.job_id}; this is a new job, on what is there now."]
        )


def find(key: str, request_hash: str, outdated: Outdated = lambda _job: None) -> Bound | None:
    """What the key stands for; None: nothing yet. Raises Rejected when it belongs to another request.

    `outdated` says why a job is no answer any more although nothing that it rests on has changed.
    """
    with reading() as session:
        bound = _same_request(session, key, request_hash)
        if bound is None:
            return None
        job = repository.find(session, bound.job_id)
        assert job is not None, "jobs are never deleted"
        plan, why = read_stored(Plan, job.plan), outdated(job)
    teachers = [arm for arm in plan.arms if arm is not None]
    changed = changes(plan, data_now(plan.dataset), teachers)
    return Bound(job_id=bound.job_id, changes=changed if why is None else [why, *changed])


def bound_job(key: str, request_hash: str) -> str:
    """The job that the key stands for by now. Raises Rejected when it belongs to another request."""
    with reading() as session:
        bound = _same_request(session, key, request_hash)
    assert bound is not None, "keys are never deleted"
    return bound.job_id


def bind(session: Session, key: str, request_hash: str, job_id: str, before: Bound | None) -> None:
    """Makes the key stand for a new job, in place of the one `before`. Raises Overtaken, which undoes the job too."""
    if before is None:
        try:
            repository.add_key(session, key, request_hash, job_id)
        except IntegrityError:
            raise Overtaken from None
        return
    if not repository.move_key(session, key, before.job_id, job_id):
        raise Overtaken
    events.record(session, job_id, "notice", {"level": "warning", "message": before.notice})


def _same_request(session: Session, key: str, request_hash: str) -> IdempotencyKey | None:
    bound = repository.key_of(session, key)
    if bound is not None and bound.request_hash != request_hash:
        message = "This key was used for another request. Take a new key for a new request."
        raise Rejected.at("Idempotency-Key", message)
    return bound
