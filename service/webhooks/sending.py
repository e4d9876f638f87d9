"""Makes messages of events, in the event's transaction, and sends them, outside of any."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpcore
import httpx
from sqlalchemy.orm import Session
from standardwebhooks import Webhook as Signer

from dpk_core.selection.decide.verdict import Verdict
from service.database.documents import read_stored
from service.database.session import transaction
from service.database.tables import SelectionJob
from service.database.types import utc_now
from service.outbox import service as outbox
from service.presentation.metric_words import words_of_task
from service.presentation.verdict_words import verdict_sentence
from service.scheduling.repository import find, newest_verdicts
from service.settings import Settings, settings
from service.webhooks import repository, secrets
from service.webhooks.addresses import SECONDS, Refused, networks, post

WAITS = (5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
"""Seconds between two tries, as the Standard Webhooks specification proposes: three days in all."""
CLAIM_SECONDS = 2 * SECONDS
"""After which a try that nobody has settled counts as lost."""
GONE = 410

Post = Callable[[str, str, dict[str, str]], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Try:
    """What is sent, and to whom."""

    message: str
    attempt: int
    url: str
    body: str
    webhook: str
    secret: str | None


def announce(session: Session, job_id: str, kind: str, data: dict[str, Any]) -> None:
    """Makes a message for each webhook that is notified of this kind of event."""
    hooks = [hook for hook in repository.every(session) if hook.active and kind in hook.events.split(",")]
    if not hooks:
        return
    job = find(session, job_id)
    assert job is not None, "an event is of a job"
    body = payload(f"job.{kind}", {
        "job": job_id, "student": job.student, "dataset": job.dataset, "method": job.method,
        **_facts(session, job, kind, data),
        "leaderboard": f"/selection-jobs/{job_id}/leaderboard", "page": f"/jobs/{job_id}",
    })  # fmt: skip
    for hook in hooks:
        repository.add_delivery(session, hook.id, kind, body)


def _facts(session: Session, job: SelectionJob, kind: str, data: dict[str, Any]) -> dict[str, Any]:
    """The verdict of a finished job, or why it failed."""
    if kind in ("finished", "verdict"):
        newest = newest_verdicts(session, [job.id]).get(job.id)
        facts = None if newest is None else read_stored(Verdict, newest.document)
        said = None if facts is None else verdict_sentence(facts, words_of_task(job.task))
        known = None if facts is None else {"kind": facts.kind, "teacher": facts.best, "tied": list(facts.tied)}
        return {"verdict": known, "sentence": said}
    return {"failure": data.get("failure")} if kind == "failed" else {}


def payload(kind: str, data: dict[str, Any]) -> str:
    """A message's body; addresses in it are to be put behind the server's."""
    return json.dumps({"type": kind, "timestamp": utc_now().isoformat(), "data": data})


def send(delivery_id: str, send_it: Post | None = None) -> None:
    """One try of one message, if its time has come. Never raises for the receiver's fault."""
    chosen = settings()
    with transaction() as session:
        claimed = repository.claim(session, delivery_id, CLAIM_SECONDS)
        if claimed is None:
            return
        row, hook = claimed
        tried = _Try(
            message=row.id, attempt=row.attempts, url=hook.url, body=row.body, webhook=hook.id,
            secret=_secret(chosen, hook.id, hook.generation, hook.key_id),
        )  # fmt: skip
    status, error = _post(tried, chosen, send_it)
    _settle(tried, status, error)


def _settle(tried: _Try, status: int | None, error: str | None) -> None:
    arrived = error is None
    wait = None if arrived or status == GONE or tried.attempt > len(WAITS) else WAITS[tried.attempt - 1]
    state = "delivered" if arrived else "failed" if wait is None else "waiting"
    with transaction() as session:
        repository.settle(
            session, tried.message, tried.attempt, state=state, status=status, error=error, wait=wait
        )  # fmt: skip
        if status == GONE:
            repository.retire(session, tried.webhook)


def resend_due(session: Session, limit: int) -> None:
    """Wakes a worker for each message whose next try is due."""
    for delivery_id in repository.due(session, limit):
        outbox.enqueue(session, "send_webhook", delivery_id)


def _secret(chosen: Settings, webhook_id: str, generation: int, key_id: str) -> str | None:
    """None where this worker's key is not the one that the receiver's secret is from."""
    try:
        key = secrets.server_key(chosen)
    except secrets.NoKey:
        return None
    return secrets.secret_of(key, webhook_id, generation) if secrets.key_id(key) == key_id else None


def _post(tried: _Try, chosen: Settings, send_it: Post | None) -> tuple[int | None, str | None]:
    """Status of the answer, and why the message did not arrive."""
    if tried.secret is None:
        return None, "This worker has another DPK_WEBHOOK_KEY than the API; set the same one, or make a new secret."
    now, message = utc_now(), f"msg_{tried.message}"
    headers = {
        "content-type": "application/json", "user-agent": "dpk-select", "webhook-id": message,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Signer(tried.secret).sign(message, now, tried.body),
    }  # fmt: skip
    try:
        if send_it is not None:
            status = send_it(tried.url, tried.body, headers)
        else:
            status = post(tried.url, tried.body, headers, networks(chosen.webhook_networks))
    except Refused as error:
        return None, str(error)
    except (httpx.HTTPError, httpx.InvalidURL, httpcore.TimeoutException, OSError, UnicodeError) as error:
        return None, f"{tried.url} cannot be reached: {error or type(error).__name__}."
    if 200 <= status < 300:
        return status, None
    redirected = " Redirects are not followed; name the last address." if 300 <= status < 400 else ""
    return status, f"The receiver answered {status}.{redirected}"
