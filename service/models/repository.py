"""The queries of uploaded models."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.database.tables import UploadedModel


def find(session: Session, name: str) -> UploadedModel | None:
    """The upload of this name."""
    return session.get(UploadedModel, name)


def names(session: Session) -> list[str]:
    """Of all uploads."""
    return list(session.scalars(select(UploadedModel.name)))


def documents(session: Session, wanted: Iterable[str]) -> list[dict[str, Any]]:
    """The documents of the uploads among these names, sorted by name."""
    rows = select(UploadedModel.document).where(UploadedModel.name.in_(sorted(set(wanted))))
    return list(session.scalars(rows.order_by(UploadedModel.name)))
