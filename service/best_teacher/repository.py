"""The queries of best teacher. None reads more rows than it gives, however many jobs asked the question."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, false, func, select, true, union_all
from sqlalchemy.orm import Session

from service.database.documents import if_readable, read_stored
from service.database.tables import SelectionJob
from service.scheduling.outcome import Outcome
from service.scheduling.plan import Plan
from service.scheduling.repository import LIVE

job = SelectionJob
FOUNDED = (job.decided.desc(), job.strength.desc(), job.finished_at.desc(), job.id.desc())
"""Within a protocol: the decided first, then the best-founded, then the newest."""
_COLUMNS = (job.id, job.protocol, job.finished_at, job.outcome)
_AT_ONCE = 20
"""Rows that are fetched at a time of those that are walked through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which teacher for this student on this data. `student`: `model[@weights]`."""

    student: str
    dataset: str
    method: str

    def asked(self) -> tuple[ColumnElement[bool], ...]:
        """The condition on jobs that ask it."""
        return job.student == self.student, job.dataset == self.dataset, job.method == self.method


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The finished jobs of one protocol that have an answer, or (`is_decided` False) have none: when the newest ended,
    and the best-founded of them."""

    protocol: str
    is_decided: bool
    newest: datetime
    best: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A finished job."""

    job_id: str
    protocol: str
    finished_at: datetime
    outcome: Outcome


_MARKS = """
    SELECT id, state, 0 FROM selection_jobs WHERE student = {0} AND method = {0} AND finished_at IS NULL
    UNION ALL SELECT * FROM (
        SELECT id, state, revision FROM selection_jobs
        WHERE student = {0} AND method = {0} AND finished_at IS NOT NULL ORDER BY finished_at DESC LIMIT 1
    ) AS newest"""
"""It is sent with every request, and making it of expressions takes longer than asking."""


def marks(connection: Connection, question: Question) -> frozenset[tuple[str, str, int]]:
    """What moves whenever a job of this student and method is asked for or ends, for the first time or again: every
    job that is not over, and the one that ended last with its revision, which grows when the job runs again."""
    value = "?" if connection.dialect.paramstyle == "qmark" else "%s"
    rows = connection.exec_driver_sql(_MARKS.format(value), 2 * (question.student, question.method))
    return frozenset((row[0], row[1], row[2]) for row in rows)


def groups(session: Session, question: Question) -> list[Group]:
    """By protocol and by whether there is an answer, in the order of protocols.

    Steps from protocol to protocol along the index, as reading every job of a question that is asked each day would
    take longer from day to day.
    """
    ended = (*question.asked(), job.decided.is_not(None))
    steps = select(func.min(job.protocol).label("protocol")).where(*ended).cte("protocols", recursive=True)
    further = select(func.min(job.protocol)).where(*ended, job.protocol > steps.c.protocol).scalar_subquery()
    protocols = steps.union_all(select(further).where(steps.c.protocol.is_not(None)))
    kinds = union_all(select(true().label("decided")), select(false())).subquery()
    mine = (*question.asked(), job.protocol == protocols.c.protocol, job.decided == kinds.c.decided)
    newest = select(func.max(job.finished_at)).where(*mine).scalar_subquery()
    best = select(job.id).where(*mine).order_by(*FOUNDED).limit(1).scalar_subquery()
    rows = select(protocols.c.protocol, kinds.c.decided, newest, best).select_from(protocols.join(kinds, true()))
    rows = rows.where(protocols.c.protocol.is_not(None)).order_by(protocols.c.protocol)
    return [
        Group(protocol=protocol, is_decided=bool(is_decided), newest=at, best=job_id)
        for protocol, is_decided, at, job_id in session.execute(rows)
        if job_id is not None
    ]


def finished(session: Session, job_ids: Iterable[str]) -> dict[str, Finished]:
    """Those of these jobs whose outcome can be read, by id."""
    return {
        job_id: Finished(job_id=job_id, protocol=protocol, finished_at=at, outcome=outcome)
        for job_id, protocol, at, document in session.execute(select(*_COLUMNS).where(job.id.in_(job_ids)))
        if at is not None and (outcome := if_readable(Outcome, document)) is not None
    }


def best_founded(
    session: Session, question: Question, protocol: str, *, is_decided: bool | None = None, limit: int | None = None
) -> Iterator[tuple[Finished, Plan]]:
    """Of the protocol's first `limit` finished jobs, or of all, those whose outcome and plan can be read, the
    best-founded first.

    `is_decided`: of the decided alone, or of the undecided; None: of both. Rows are fetched a few at a time, so that
    who needs only the first job that can be read does not wait for all.
    """
    mine = select(*_COLUMNS, job.plan).where(*question.asked(), job.protocol == protocol, job.decided.is_not(None))
    if is_decided is not None:
        mine = mine.where(job.decided == is_decided)
    with session.execute(mine.order_by(*FOUNDED).limit(limit), execution_options={"yield_per": _AT_ONCE}) as rows:
        for job_id, own_protocol, at, document, stored_plan in rows:
            outcome, plan = if_readable(Outcome, document), if_readable(Plan, stored_plan)
            if at is not None and outcome is not None and plan is not None:
                yield Finished(job_id=job_id, protocol=own_protocol, finished_at=at, outcome=outcome), plan


def live_jobs(session: Session, question: Question) -> list[tuple[str, str, str]]:
    """Id, state and protocol of the jobs that are still to answer the question, newest first."""
    chosen = select(job.id, job.state, job.protocol).where(job.state.in_(LIVE), *question.asked())
    rows = session.execute(chosen.order_by(job.created_at.desc(), job.id))
    return [(job_id, state, protocol) for job_id, state, protocol in rows]


def revision(session: Session, job_id: str) -> int:
    """A job's revision: its plan is the same while this is."""
    return session.scalars(select(job.revision).where(job.id == job_id)).one()


def plan(session: Session, job_id: str) -> Plan | None:
    """A job's plan, where it can be read."""
    return if_readable(Plan, session.scalars(select(job.plan).where(job.id == job_id)).one())


def check_readable(session: Session, job_id: str) -> None:
    """Raises Unreadable where a finished job's plan or outcome cannot be read."""
    stored_plan, stored_outcome = session.execute(select(job.plan, job.outcome).where(job.id == job_id)).one()
    read_stored(Plan, stored_plan)
    read_stored(Outcome, stored_outcome)
