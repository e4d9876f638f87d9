"""The queries of webhooks. Tries are claimed and timed by the database's clock."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import case, delete, select, update
from sqlalchemy.orm import Session

from service.database.tables import Event, SelectionJob
from service.database.types import epoch_now, utc_now
from service.database.webhook_tables import Webhook, WebhookDelivery

MOST = 100
"""Webhooks there may be: each event makes a row for each."""


def every(session: Session) -> Sequence[Webhook]:
    """All webhooks, the oldest first."""
    return session.scalars(select(Webhook).order_by(Webhook.created_at, Webhook.id).limit(MOST)).all()


def find(session: Session, webhook_id: str) -> Webhook | None:
    """One webhook."""
    return session.get(Webhook, webhook_id)


def remove(session: Session, webhook_id: str) -> bool:
    """Deletes a webhook; False where there is none. Its messages go with it, by the foreign key.

    Whoever locks a webhook and its messages locks the webhook first; see `retire`.
    """
    return session.scalar(delete(Webhook).where(Webhook.id == webhook_id).returning(Webhook.id)) is not None


def announce(session: Session, event: Event) -> None:
    """Adds a message for each webhook that is notified of this kind of event."""
    for hook in every(session):
        if hook.active and event.kind in hook.events.split(","):
            add_delivery(session, hook.id, event.kind, event_id=event.id)


def add_delivery(
    session: Session, webhook_id: str, kind: str, *, event_id: int | None = None, body: str | None = None
) -> WebhookDelivery:
    """A message that is to be sent now: of an event, or with this body."""
    row = WebhookDelivery(
        id=uuid.uuid4().hex, webhook_id=webhook_id, kind=kind, event_id=event_id, body=body, state="waiting",
        attempts=0, next_epoch=epoch_now(), created_at=utc_now(),
    )  # fmt: skip
    session.add(row)
    session.flush()
    return row


def subject(session: Session, event_id: int) -> tuple[Event, SelectionJob, Event | None]:
    """An event, its job, and the event of the newest verdict that the job had then."""
    event = session.get_one(Event, event_id)
    verdicts = select(Event).where(Event.job_id == event.job_id, Event.kind == "verdict", Event.id <= event_id)
    newest = session.scalar(verdicts.order_by(Event.id.desc()).limit(1))
    return event, session.get_one(SelectionJob, event.job_id), newest


def keep_body(session: Session, delivery_id: str, body: str) -> None:
    """Stores what a message says, for every try that follows."""
    session.get_one(WebhookDelivery, delivery_id).body = body


def deliveries(session: Session, webhook_id: str, limit: int) -> Sequence[WebhookDelivery]:
    """The webhook's newest messages."""
    rows = select(WebhookDelivery).where(WebhookDelivery.webhook_id == webhook_id)
    return session.scalars(
        rows.order_by(WebhookDelivery.created_at.desc(), WebhookDelivery.id.desc()).limit(limit)
    ).all()


def delivery(session: Session, webhook_id: str, delivery_id: str) -> WebhookDelivery | None:
    """One message of a webhook."""
    row = session.get(WebhookDelivery, delivery_id)
    return row if row is not None and row.webhook_id == webhook_id else None


def claim(session: Session, delivery_id: str, seconds: float) -> tuple[WebhookDelivery, Webhook] | None:
    """A message whose time has come, kept from others for so long; None where there is nothing to send.

    Compare-and-set: of workers that try at once, one gets it.
    """
    due = (WebhookDelivery.id == delivery_id, WebhookDelivery.state == "waiting")
    claimed = update(WebhookDelivery).where(*due, WebhookDelivery.next_epoch <= epoch_now())
    values = {"attempts": WebhookDelivery.attempts + 1, "next_epoch": epoch_now() + seconds}
    if session.scalar(claimed.values(values).returning(WebhookDelivery.id)) is None:
        return None
    row = session.get_one(WebhookDelivery, delivery_id, populate_existing=True)
    return row, session.get_one(Webhook, row.webhook_id)


def next_due(session: Session, *, busy: Collection[str] = (), queue: Sequence[str] = ()) -> tuple[str, str] | None:
    """The message that is to be tried now, and its webhook; None where none is due.

    Messages to the webhooks `busy` are left out. Those in `queue` come after all others, in this order; of one webhook,
    and of those that are not in the queue, the message that has been due for longest comes first.
    """
    due = (WebhookDelivery.state == "waiting", WebhookDelivery.next_epoch <= epoch_now())
    rows = select(WebhookDelivery.id, WebhookDelivery.webhook_id).where(*due, WebhookDelivery.webhook_id.not_in(busy))
    if queue:
        place = {webhook_id: number for number, webhook_id in enumerate(queue, 1)}
        rows = rows.order_by(case(place, value=WebhookDelivery.webhook_id, else_=0))
    found = session.execute(rows.order_by(WebhookDelivery.next_epoch).limit(1)).first()
    return None if found is None else (found.id, found.webhook_id)


def settle(
    session: Session, delivery_id: str, attempt: int, *, state: str, status: int | None, error: str | None,
    wait: float | None,
) -> None:  # fmt: skip
    """Writes how a try went, unless another one was made since.

    `wait`: seconds until the next one; None: it was the last.
    The outcome of a last try is written whatever the state: `retire` may have failed the message while it was sent.
    """
    mine = [WebhookDelivery.id == delivery_id, WebhookDelivery.attempts == attempt]
    if wait is not None:
        mine.append(WebhookDelivery.state == "waiting")
    values: dict[str, object] = {"state": state, "status": status, "error": error}
    values |= {"finished_at": utc_now()} if wait is None else {"next_epoch": epoch_now() + wait}
    session.execute(update(WebhookDelivery).where(*mine).values(values).execution_options(synchronize_session=False))


def again(session: Session, row: WebhookDelivery) -> None:
    """Lets a message be sent once more, now."""
    row.state, row.attempts, row.next_epoch, row.finished_at = "waiting", 0, epoch_now(), None
    session.flush()


def retire(session: Session, webhook_id: str, why: str) -> None:
    """The receiver wants nothing more: what still waits to be sent to it has failed. `why`: one sentence.

    The webhook's row is locked before any message. Call it before the transaction locks a message of the webhook:
    otherwise two that hold a message each, and want all, would be a deadlock on Postgres.
    """
    session.execute(update(Webhook).where(Webhook.id == webhook_id).values(active=False))
    waiting = (WebhookDelivery.webhook_id == webhook_id, WebhookDelivery.state == "waiting")
    ended = update(WebhookDelivery).where(*waiting).values(state="failed", error=why, finished_at=utc_now())
    session.execute(ended.execution_options(synchronize_session=False))


def purge(session: Session, *, before: datetime, limit: int) -> None:
    """Deletes at most `limit` messages that were settled before `before`."""
    old = select(WebhookDelivery.id).where(WebhookDelivery.finished_at < before)
    # What `remove` or another sweep deletes at this moment is left to it.
    chosen = old.order_by(WebhookDelivery.finished_at).limit(limit).with_for_update(skip_locked=True)
    rows = delete(WebhookDelivery).where(WebhookDelivery.id.in_(chosen))
    session.execute(rows.execution_options(synchronize_session=False))
