"""The queries of imported results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from service.database.imported_tables import ImportedResult

MOST = 10_000
"""Results that one question shows."""


def add(session: Session, rows: Sequence[dict[str, Any]]) -> int:
    """Adds those that are not there; gives their number."""
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    statement = insert(ImportedResult).on_conflict_do_nothing(index_elements=["key"]).returning(ImportedResult.key)
    return len(session.scalars(statement, list(rows)).all())


def of_keys(session: Session, keys: Iterable[str]) -> Sequence[ImportedResult]:
    """Those with these keys; no other transaction changes them before this one ends."""
    rows = select(ImportedResult).where(ImportedResult.key.in_(keys)).order_by(ImportedResult.key)
    return session.scalars(rows.with_for_update()).all()


def every(session: Session) -> Sequence[ImportedResult]:
    """Results of all questions, question by question."""
    result = ImportedResult
    order = (result.student, result.dataset, result.stamp, result.method, result.teacher, result.seed)
    return session.scalars(select(result).order_by(*order).limit(MOST)).all()


def find(session: Session, student: str, dataset: str) -> Sequence[ImportedResult]:
    """All results of a question, protocol by protocol."""
    result = ImportedResult
    asked = select(result).where(result.student == student, result.dataset == dataset)
    order = (result.stamp, result.method, result.teacher, result.seed)
    return session.scalars(asked.order_by(*order).limit(MOST)).all()


def remove(session: Session, stamp: str) -> int:
    """Deletes the results of a protocol; gives their number."""
    rows = delete(ImportedResult).where(ImportedResult.stamp == stamp).returning(ImportedResult.key)
    return len(session.scalars(rows.execution_options(synchronize_session=False)).all())
