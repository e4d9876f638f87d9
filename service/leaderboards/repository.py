"""The queries of stored leaderboards, of judgements over the store and of what earlier jobs measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.database.tables import Board, Run, SelectionJob, StoredJudgement


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


def earlier_winners(session: Session, job: SelectionJob, limit: int) -> Sequence[tuple[Any, str | None]]:
    """Of the newest jobs with this student and method that finished before `job` was asked for, whatever their data:
    the method with its settings, as in the plan, and the teacher that won."""
    each = SelectionJob
    chosen = select(each.plan["method"], each.outcome["best"].as_string()).where(
        each.student == job.student, each.method == job.method, each.state == "finished",
        each.finished_at < job.created_at,
    )  # fmt: skip
    return [(row[0], row[1]) for row in session.execute(chosen.order_by(each.finished_at.desc()).limit(limit))]


def taught_runs(
    session: Session, method: str, dataset: str, *, before: datetime, limit: int
) -> Sequence[tuple[str, int, Mapping[str, Any], dict[str, Any] | None]]:
    """Training, seed, specification and result of the newest runs of students under a teacher, with this method on this
    data set, that finished `before`."""
    chosen = select(Run.training_key, Run.seed, Run.spec, Run.result).where(
        Run.teacher.is_not(None), Run.state == "finished", Run.method == method, Run.dataset == dataset,
        Run.finished_at < before,
    )  # fmt: skip
    rows = session.execute(chosen.order_by(Run.finished_at.desc(), Run.id.desc()).limit(limit))
    return [(row[0], row[1], row[2], row[3]) for row in rows]


def prepared_teachers(session: Session, training_keys: Iterable[str]) -> Mapping[str, dict[str, Any]]:
    """What the finished preparations of teachers found, by training."""
    chosen = select(Run.training_key, Run.result).where(
        Run.training_key.in_(sorted(set(training_keys))), Run.purpose == "teacher", Run.state == "finished"
    )
    return {key: result for key, result in session.execute(chosen) if result is not None}
