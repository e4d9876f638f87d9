"""The queries of a job's runs that no other room asks."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.database.tables import Measurement


def measurements(session: Session, run_id: str) -> Sequence[Measurement]:
    """What one run measured, in the order of epochs."""
    rows = select(Measurement).where(Measurement.run_id == run_id)
    return session.scalars(rows.order_by(Measurement.epoch, Measurement.name)).all()
