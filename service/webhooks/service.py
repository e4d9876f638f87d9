"""What can be done with webhooks, in the caller's transaction."""

from __future__ import annotations

import ipaddress
import json
import uuid
from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from service.database.types import utc_now
from service.database.webhook_tables import Webhook, WebhookDelivery
from service.problems import Conflict, NotFound, Rejected
from service.settings import settings
from service.webhooks import repository, schemas, secrets
from service.webhooks.addresses import Refused, check_address, networks
from service.webhooks.bodies import payload

SHOWN = 50
"""Messages that a log shows."""


def add(session: Session, request: schemas.WebhookRequest) -> schemas.WebhookSecret:
    """Makes a webhook and shows its secret. Raises Rejected."""
    _check_url(request.url)
    if len(repository.every(session)) >= repository.MOST:
        raise Conflict(f"There are {repository.MOST} webhooks already; remove one first.")
    key = _key()
    row = Webhook(
        id=uuid.uuid4().hex, url=request.url, events=",".join(dict.fromkeys(request.events)),
        description=request.description, generation=1, key_id=secrets.key_id(key), active=True, created_at=utc_now(),
    )  # fmt: skip
    session.add(row)
    session.flush()
    return schemas.WebhookSecret(webhook=view(row), secret=secrets.secret_of(key, row.id, row.generation))


def every(session: Session) -> schemas.WebhookList:
    """All webhooks."""
    return schemas.WebhookList(webhooks=[view(row) for row in repository.every(session)])


def remove(session: Session, webhook_id: str) -> None:
    """Ends a webhook; what waits to be sent to it is dropped. Raises NotFound."""
    if not repository.remove(session, webhook_id):
        raise _missing(webhook_id)


def renew(session: Session, webhook_id: str) -> schemas.WebhookSecret:
    """A new secret; the one before signs nothing any more. A webhook that ended is active again. Raises NotFound."""
    row, key = _found(session, webhook_id), _key()
    row.generation, row.key_id, row.active = row.generation + 1, secrets.key_id(key), True
    session.flush()
    return schemas.WebhookSecret(webhook=view(row), secret=secrets.secret_of(key, row.id, row.generation))


def test(session: Session, webhook_id: str) -> schemas.Delivery:
    """Sends a message of type `test` by the way of all others. Raises NotFound."""
    row = _found(session, webhook_id)
    body = payload("test", utc_now(), {"webhook": row.id})
    return _delivery(repository.add_delivery(session, row.id, "test", body=body))


def log(session: Session, webhook_id: str) -> schemas.DeliveryList:
    """Its newest messages. Raises NotFound."""
    row = _found(session, webhook_id)
    return schemas.DeliveryList(deliveries=[_delivery(each) for each in repository.deliveries(session, row.id, SHOWN)])


def again(session: Session, webhook_id: str, delivery_id: str) -> schemas.Delivery:
    """Sends a message once more. Raises NotFound, or Conflict where it waits to be sent."""
    row = repository.delivery(session, webhook_id, delivery_id.removeprefix("msg_"))
    if row is None:
        raise NotFound(f"Webhook {webhook_id} has no message {delivery_id!r}.")
    if row.state == "waiting":
        raise Conflict("The message waits for its next try already.")
    repository.again(session, row)
    session.refresh(row)
    return _delivery(row)


def view(row: Webhook) -> schemas.WebhookView:
    """The webhook without its secret."""
    return schemas.WebhookView.model_validate({
        "id": row.id, "url": row.url, "events": row.events.split(","), "description": row.description,
        "active": row.active, "created_at": row.created_at,
    })  # fmt: skip


def _delivery(row: WebhookDelivery) -> schemas.Delivery:
    return schemas.Delivery.model_validate({
        "id": f"msg_{row.id}", "kind": row.kind, "state": row.state, "attempts": row.attempts, "status": row.status,
        "error": row.error, "body": None if row.body is None else json.loads(row.body), "created_at": row.created_at,
        "finished_at": row.finished_at,
    })  # fmt: skip


def _found(session: Session, webhook_id: str) -> Webhook:
    row = repository.find(session, webhook_id)
    if row is None:
        raise _missing(webhook_id)
    return row


def _missing(webhook_id: str) -> NotFound:
    return NotFound(f"There is no webhook {webhook_id!r}.")


def _key() -> bytes:
    try:
        return secrets.server_key(settings())
    except secrets.NoKey as error:
        raise Conflict(str(error)) from None


def _check_url(url: str) -> None:
    """What can be known before anything is sent; names are looked up when a message is sent. Raises Rejected."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise _rejected("This is no address; write it as https://HOST/PATH.") from None
    plain = url.isascii() and url.isprintable() and " " not in url
    if parts.scheme not in ("http", "https") or not host or not plain:
        raise _rejected("This is no address; write it as https://HOST/PATH.")
    if parts.username is not None or parts.fragment:
        raise _rejected("An address must hold neither a user name nor a fragment; messages are signed instead.")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if host.rstrip(".") != "localhost" and not host.rstrip(".").endswith(".localhost"):
            return
        host = "127.0.0.1"
    try:
        check_address(host, networks(settings().webhook_networks))
    except Refused as error:
        raise _rejected(str(error)) from None


def _rejected(message: str) -> Rejected:
    return Rejected.at("url", message)
