"""The tables of webhooks: whom to tell, and every message with its tries."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Boolean, Double, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from service.database.tables import Base


class Webhook(Base):
    """An address that is notified of what happens to jobs. Its secret is derived (`service.webhooks.secrets`), and not
    stored."""

    __tablename__ = "webhooks"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    url: Mapped[str] = mapped_column(Text)
    events: Mapped[str] = mapped_column(String(200))
    """Kinds that it is notified of, by commas."""
    description: Mapped[str] = mapped_column(String(200))
    generation: Mapped[int]
    """Of its secret: grows when a new one is asked for."""
    key_id: Mapped[str] = mapped_column(String(16))
    """Which server key its secret is derived from."""
    active: Mapped[bool] = mapped_column(Boolean)
    """Whether it is notified of anything; ends where the receiver answers 410."""
    created_at: Mapped[datetime]


class WebhookDelivery(Base):
    """One message to one webhook. state: waiting → delivered | failed; one that is sent anew waits again."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        Index("ix_webhook_deliveries_due", "state", "next_epoch"),
        Index("ix_webhook_deliveries_log", "webhook_id", "created_at", "id"),
        Index("ix_webhook_deliveries_finished", "finished_at"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    """The message's id, `msg_<id>` on the wire: the same at each try, so that receivers know a repetition."""
    webhook_id: Mapped[str] = mapped_column(ForeignKey("webhooks.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(40))
    event_id: Mapped[int | None] = mapped_column(ForeignKey("events.id"))
    """The event it announces; None for one that tries the webhook out."""
    body: Mapped[str | None] = mapped_column(Text)
    """The payload as it is signed and sent, the same at each try; None until the first one."""
    state: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int]
    next_epoch: Mapped[float] = mapped_column(Double)
    """While waiting: nobody sends it before this moment, by the database's clock."""
    status: Mapped[int | None]
    """What the receiver answered last."""
    error: Mapped[str | None] = mapped_column(Text)
    """Why the last try failed, one sentence."""
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
