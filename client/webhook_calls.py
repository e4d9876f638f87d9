"""What a client can do with webhooks."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from client.connection import Ask, Connection
from client.errors import InputFault
from service.webhooks.schemas import Delivery, DeliveryList, WebhookList, WebhookSecret


class WebhookCalls:
    """A part of `Client`."""

    _connection: Connection

    def webhooks(self) -> WebhookList:
        """All webhooks, the oldest first."""
        return self._connection.read(WebhookList, Ask(method="GET", path="/webhooks"))

    def full_webhook_id(self, webhook: str) -> str:
        """A webhook's id from its beginning. Raises InputFault where not exactly one begins so."""
        found = [each.id for each in self.webhooks().webhooks if each.id.startswith(webhook)]
        if len(found) != 1:
            several = f"Several webhooks begin with {webhook}: {', '.join(found)}. Give more of the id."
            raise InputFault(several if found else f"No webhook begins with {webhook}; `dpk webhook list` lists them.")
        return found[0]

    def add_webhook(self, url: str, *, events: Sequence[str] | None = None, description: str = "") -> WebhookSecret:
        """Tells `url` what happens to jobs. The secret in the answer is not shown again."""
        body: dict[str, object] = {"url": url, "description": description}
        if events is not None:
            body["events"] = list(events)
        return self._connection.read(WebhookSecret, Ask(method="POST", path="/webhooks", json=body, attempts=1))

    def renew_webhook_secret(self, webhook_id: str) -> WebhookSecret:
        """A new secret; the one before signs nothing any more."""
        return self._connection.read(WebhookSecret, Ask(method="POST", path=_path(webhook_id, "secret"), attempts=1))

    def remove_webhook(self, webhook_id: str) -> None:
        """Ends a webhook."""
        self._connection.send(Ask(method="DELETE", path=_path(webhook_id), attempts=1))

    def test_webhook(self, webhook_id: str) -> Delivery:
        """Sends a message of type `test`; `deliveries` says how that went."""
        return self._connection.read(Delivery, Ask(method="POST", path=_path(webhook_id, "test"), attempts=1))

    def deliveries(self, webhook_id: str) -> DeliveryList:
        """The webhook's newest messages and their tries."""
        return self._connection.read(DeliveryList, Ask(method="GET", path=_path(webhook_id, "deliveries")))

    def resend_delivery(self, webhook_id: str, message: str) -> Delivery:
        """Sends a message once more."""
        path = _path(webhook_id, "deliveries", message, "send")
        return self._connection.read(Delivery, Ask(method="POST", path=path, attempts=1))


def _path(*parts: str) -> str:
    return "/".join(["/webhooks", *(quote(part, safe="") for part in parts)])
