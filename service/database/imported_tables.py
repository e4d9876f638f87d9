"""The table of results that were obtained elsewhere."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Double, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from service.database.tables import Base, Json


class ImportedResult(Base):
    """The score of one training that this service did not make. Nothing is decided by it."""

    __tablename__ = "imported_results"
    __table_args__ = (
        Index("ix_imported_results_question", "student", "dataset", "stamp", "method", "teacher", "seed"),
        Index("ix_imported_results_stamp", "stamp"),
    )

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    """Hash of what identifies the training, without its scores: importing again changes nothing."""
    stamp: Mapped[str] = mapped_column(String(8))
    """Its own protocol: of its source and settings. Rows of different protocols are never ranked together."""
    source: Mapped[str] = mapped_column(Text)
    settings: Mapped[Json]
    student: Mapped[str] = mapped_column(String(400))
    dataset: Mapped[str] = mapped_column(String(200))
    method: Mapped[str] = mapped_column(String(40))
    teacher: Mapped[str | None] = mapped_column(String(400))
    seed: Mapped[int]
    epochs: Mapped[int | None]
    validation_score: Mapped[float | None] = mapped_column(Double)
    test_score: Mapped[float | None] = mapped_column(Double)
    created_at: Mapped[datetime]
