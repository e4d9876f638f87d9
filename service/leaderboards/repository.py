"""The queries of stored leaderboards and of judgements over the store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.database.tables import Board, SelectionJob, StoredJudgement


class StoredBoard(NamedTuple):
    """A finished job's board, and the job's revision that it shows."""

    etag: str
    document: str
    revision: int


def stored(session: Session, job_id: str, version: int) -> StoredBoard | None:
    """A finished job's board of this version."""
    chosen = select(Board.etag, Board.document, SelectionJob.revision).join(
        SelectionJob, SelectionJob.id == Board.job_id
    )
    row = session.execute(chosen.where(Board.job_id == job_id, Board.version == version)).one_or_none()
    return None if row is None else StoredBoard(*row)


def revision(session: Session, job_id: str) -> int | None:
    """Of a job; None where there is none."""
    return session.scalar(select(SelectionJob.revision).where(SelectionJob.id == job_id))


def stored_answer(session: Session, job_id: str, version: int) -> Mapping[str, Any] | None:
    """The part of it that best teacher gives."""
    return session.scalar(select(Board.answer).where(Board.job_id == job_id, Board.version == version))


def store(session: Session, board: Board) -> None:
    """Keeps a finished job's board in place of an older one. Two processes that make it at once make the same."""
    session.merge(board)


def judgements(session: Session, keys: Iterable[str]) -> Mapping[str, Mapping[str, Any]]:
    """Those that are stored, by key."""
    chosen = select(StoredJudgement.key, StoredJudgement.document).where(StoredJudgement.key.in_(sorted(set(keys))))
    return {row.key: row.document for row in session.execute(chosen)}


def store_judgement(session: Session, key: str, document: dict[str, Any]) -> None:
    """Keeps a judgement."""
    session.merge(StoredJudgement(key=key, document=document))
