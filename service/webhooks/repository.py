"""The queries of webhooks. Tries are claimed and timed by the database's clock."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from service.database.types import epoch_now, utc_now
from service.database.webhook_tables import Webhook, WebhookDelivery
from service.outbox import service as outbox
from service.outbox.repository import is_unsent

MOST = 100
"""Webhooks there may be: each event makes a row for each."""


def every(session: Session) -> Sequence[Webhook]:
    """All webhooks, the oldest first."""
    return session.scalars(select(Webhook).order_by(Webhook.created_at, Webhook.id).limit(MOST)).all()


def find(session: Session, webhook_id: str) -> Webhook | None:
    """One webhook."""
    return session.get(Webhook, webhook_id)


def remove(session: Session, webhook_id: str) -> bool:
    """Deletes a webhook with its messages; False where there is none."""
    session.execute(delete(WebhookDelivery).where(WebhookDelivery.webhook_id == webhook_id))
    return session.scalar(delete(Webhook).where(Webhook.id == webhook_id).returning(Webhook.id)) is not None


def add_delivery(session: Session, webhook_id: str, kind: str, body: str) -> WebhookDelivery:
    """A message that is to be sent now, with its message to a worker."""
    row = WebhookDelivery(
        id=uuid.uuid4().hex, webhook_id=webhook_id, kind=kind, body=body, state="waiting", attempts=0,
        next_epoch=epoch_now(), created_at=utc_now(),
    )  # fmt: skip
    session.add(row)
    session.flush()
    outbox.enqueue(session, "send_webhook", row.id)
    return row


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


def due(session: Session, limit: int) -> Sequence[str]:
    """Messages whose next try is due and that no worker is about to be woken for, the longest due first."""
    rows = select(WebhookDelivery.id).where(WebhookDelivery.state == "waiting", ~is_unsent(WebhookDelivery.id))
    return session.scalars(
        rows.where(WebhookDelivery.next_epoch <= epoch_now()).order_by(WebhookDelivery.next_epoch).limit(limit)
    ).all()


def settle(
    session: Session, delivery_id: str, attempt: int, *, state: str, status: int | None, error: str | None,
    wait: float | None,
) -> None:  # fmt: skip
    """Writes how a try went, unless another one was made since. `wait`: seconds until the next one."""
    mine = (WebhookDelivery.id == delivery_id, WebhookDelivery.attempts == attempt, WebhookDelivery.state == "waiting")
    values: dict[str, object] = {"state": state, "status": status, "error": error}
    values |= {"finished_at": utc_now()} if wait is None else {"next_epoch": epoch_now() + wait}
    session.execute(update(WebhookDelivery).where(*mine).values(values).execution_options(synchronize_session=False))


def again(session: Session, row: WebhookDelivery) -> None:
    """Lets a message be sent once more, now."""
    row.state, row.attempts, row.next_epoch, row.finished_at = "waiting", 0, epoch_now(), None
    session.flush()
    outbox.enqueue(session, "send_webhook", row.id)


def retire(session: Session, webhook_id: str) -> None:
    """The receiver wants nothing more."""
    session.execute(update(Webhook).where(Webhook.id == webhook_id).values(active=False))


def purge(session: Session, *, before: datetime, limit: int) -> None:
    """Deletes at most `limit` messages that were settled before `before`."""
    old = select(WebhookDelivery.id).where(WebhookDelivery.finished_at < before)
    rows = delete(WebhookDelivery).where(WebhookDelivery.id.in_(old.order_by(WebhookDelivery.finished_at).limit(limit)))
    session.execute(rows.execution_options(synchronize_session=False))
