"""Webhooks on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from service.schemas import Wire, WireRequest

WebhookEvent = Literal["finished", "failed", "cancelled", "verdict"]
DeliveryState = Literal["waiting", "delivered", "failed"]


class WebhookRequest(WireRequest):
    """Whom to tell, and of what."""

    url: str = Field(max_length=2000, examples=["https://ci.example.org/hooks/dpk"], description="http:// or https://.")
    events: list[WebhookEvent] = Field(
        default=["finished", "failed", "cancelled"], min_length=1, max_length=4,
        description="What happens to jobs; `verdict`: each new one, also before a job is over.",
    )  # fmt: skip
    description: str = Field(default="", max_length=200)


class WebhookView(Wire):
    """A webhook. `active` ends where the receiver answers 410 Gone."""

    id: str
    url: str
    events: list[WebhookEvent]
    description: str
    active: bool
    created_at: datetime


class WebhookSecret(Wire):
    """The secret that signs a webhook's messages. It is shown this once."""

    webhook: WebhookView
    secret: str = Field(description="As the libraries of standardwebhooks.com take it.")


class WebhookList(Wire):
    """All webhooks, the oldest first."""

    webhooks: list[WebhookView]


class Delivery(Wire):
    """A message and how its tries went."""

    id: str = Field(description="The message's id: header `webhook-id`, the same at each try.")
    kind: str
    state: DeliveryState
    attempts: int
    status: int | None = Field(description="What the receiver answered last.")
    error: str | None
    body: dict[str, Any] | None = Field(description="What it says; null until its first try.")
    created_at: datetime
    finished_at: datetime | None


class DeliveryList(Wire):
    """A webhook's newest messages, the newest first."""

    deliveries: list[Delivery]
