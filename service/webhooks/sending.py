"""Sends messages, outside of any transaction."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from standardwebhooks import Webhook as Signer

from service.database.faults import is_away
from service.database.session import reading, transaction
from service.database.types import utc_now
from service.settings import Settings, settings
from service.webhooks import repository, secrets
from service.webhooks.addresses import SECONDS, UNREACHABLE, Refused, networks, post
from service.webhooks.bodies import body_of

WAITS = (5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
"""Seconds between two tries, as the Standard Webhooks specification proposes: three days in all."""
CLAIM_SECONDS = 2 * SECONDS
"""After which a try that nobody has settled counts as lost."""
GONE = 410

Post = Callable[[str, str, dict[str, str]], int]

_busy: set[str] = set()
"""Webhooks that a thread of this process sends to; guarded by `_choosing`."""
_last: dict[str, bool] = {}
"""Webhooks by their last try in this process, the oldest first, and whether it failed; guarded by `_choosing`."""
_choosing = threading.Lock()

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Try:
    """What is sent, and to whom. `body`: None before it is made, of the event `event`."""

    message: str
    attempt: int
    url: str
    event: int | None
    body: str | None
    webhook: str
    secret: str | secrets.NoKey


def send_next() -> bool:
    """One try of a message. False: none is due.

    Webhooks take turns, and those whose last try failed come after the others: receivers that hang hold up those that
    answer by one try at most, however many messages wait for them. A webhook that another thread of this process
    sends to is left out.
    """
    with _choosing:
        queue = sorted(_last, key=_last.__getitem__)
        with reading() as session:
            due = repository.next_due(session, busy=_busy, queue=queue)
        if due is None:
            return False
        delivery_id, webhook_id = due
        _busy.add(webhook_id)
    arrived: bool | None = False
    try:
        arrived = send(delivery_id)
    finally:
        with _choosing:
            _busy.remove(webhook_id)
            if arrived is not None:
                _remember(webhook_id, failed=not arrived)
    return True


def _remember(webhook_id: str, *, failed: bool) -> None:
    _last.pop(webhook_id, None)
    _last[webhook_id] = failed
    if len(_last) > repository.MOST:  # some are removed by now
        del _last[next(iter(_last))]


def send(delivery_id: str, send_it: Post | None = None) -> bool | None:
    """One try of one message: whether it arrived; None where it was not tried, as its time has not come or another
    worker tries it. Never raises for the receiver's fault."""
    chosen = settings()
    with transaction() as session:
        claimed = repository.claim(session, delivery_id, CLAIM_SECONDS)
        if claimed is None:
            return None
        row, hook = claimed
        tried = _Try(
            message=row.id, attempt=row.attempts, url=hook.url, event=row.event_id, body=row.body,
            webhook=hook.id, secret=_secret(chosen, hook.id, hook.generation, hook.key_id),
        )  # fmt: skip
    try:
        body = tried.body or _make_body(tried)
    except Exception as error:
        if is_away(error):
            raise
        # Whatever it is, it is a fault of this message alone: its try has failed, and others are sent.
        _log.exception("Message %s could not be made.", tried.message)
        _settle(tried, None, f"The message could not be made ({type(error).__name__}): {error}")
        return False
    status, wrong = _post(tried, body, chosen, send_it)
    _settle(tried, status, wrong)
    return wrong is None


def _make_body(tried: _Try) -> str:
    assert tried.event is not None, "a message without a body is of an event"
    with transaction() as session:
        body = body_of(session, tried.event)
        repository.keep_body(session, tried.message, body)
    return body


def _settle(tried: _Try, status: int | None, error: str | None) -> None:
    arrived = error is None
    wait = None if arrived or status == GONE or tried.attempt > len(WAITS) else WAITS[tried.attempt - 1]
    state = "delivered" if arrived else "failed" if wait is None else "waiting"
    with transaction() as session:
        if status == GONE:
            repository.retire(session, tried.webhook, f"The receiver answered {GONE} to another message.")
        repository.settle(
            session, tried.message, tried.attempt, state=state, status=status, error=error, wait=wait
        )  # fmt: skip


def _secret(chosen: Settings, webhook_id: str, generation: int, key_id: str) -> str | secrets.NoKey:
    """The webhook's secret, or why this worker lacks it: it has no key, or not the one that the secret is from."""
    try:
        key = secrets.server_key(chosen)
    except secrets.NoKey as error:
        return error
    if secrets.key_id(key) != key_id:
        return secrets.NoKey("It has another DPK_WEBHOOK_KEY than the API; set the same one, or make a new secret.")
    return secrets.secret_of(key, webhook_id, generation)


def _post(tried: _Try, body: str, chosen: Settings, send_it: Post | None) -> tuple[int | None, str | None]:
    """Status of the answer, and why the message did not arrive."""
    if isinstance(tried.secret, secrets.NoKey):
        return None, f"This worker cannot sign messages. {tried.secret}"
    now, message = utc_now(), f"msg_{tried.message}"
    headers = {
        "content-type": "application/json", "user-agent": "dpk-select", "webhook-id": message,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Signer(tried.secret).sign(message, now, body),
    }  # fmt: skip
    try:
        if send_it is not None:
            status = send_it(tried.url, body, headers)
        else:
            status = post(tried.url, body, headers, networks(chosen.webhook_networks))
    except Refused as error:
        return None, str(error)
    except (*UNREACHABLE, UnicodeError) as error:
        return None, f"{tried.url} cannot be reached: {error or type(error).__name__}."
    if 200 <= status < 300:
        return status, None
    redirected = " Redirects are not followed; name the last address." if 300 <= status < 400 else ""
    return status, f"The receiver answered {status}.{redirected}"
