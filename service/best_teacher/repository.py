"""The queries of best teacher."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, case, distinct, func, select
from sqlalchemy.orm import Session

from service.database.tables import Candidate, JobRun, Run, SelectionJob, Verdict
from service.scheduling.repository import LIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which teacher for this student on this data. `student`: `model[@weights]`."""

    student: str
    dataset: str
    method: str

    def asked(self) -> tuple[ColumnElement[bool], ...]:
        """The condition on jobs that ask it."""
        request = SelectionJob.request
        return (
            request["student"].as_string() == self.student,
            request["dataset"].as_string() == self.dataset,
            SelectionJob.plan["method", "name"].as_string() == self.method,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A finished job with its final verdict. `plan`, `verdict`: as stored.

    `seeds`: the most full trainings under one teacher; `tried`: teachers under which a student was trained at all;
    `trained`: those of them under which one was trained fully.
    """

    job_id: str
    finished_at: datetime
    plan: Mapping[str, Any]
    verdict: Mapping[str, Any]
    seeds: int
    tried: int
    trained: int

    @property
    def is_decided(self) -> bool:
        """Whether it has an answer."""
        return bool(self.verdict["kind"] != "undecided")

    @property
    def strength(self) -> int:
        """How well-founded it is: seeds times teachers compared."""
        return self.seeds * self.tried


def finished_jobs(session: Session, question: Question) -> list[Finished]:
    """The finished jobs that asked the question, newest first."""
    job = SelectionJob
    rows = session.execute(
        select(job.id, job.finished_at, job.plan, Verdict.document)
        .join(Verdict, (Verdict.job_id == job.id) & Verdict.final)
        .where(job.state == "finished", *question.asked())
        .order_by(job.finished_at.desc(), job.id)
    )
    seeds = _full_seeds(session, question)
    return [
        Finished(
            job_id=job_id, finished_at=finished_at, plan=plan, verdict=verdict, seeds=max(by_teacher, default=0),
            tried=len(by_teacher), trained=sum(map(bool, by_teacher)),
        )
        for job_id, finished_at, plan, verdict in rows
        for by_teacher in [seeds.get(job_id, [])]
        if finished_at is not None
    ]  # fmt: skip


def live_jobs(session: Session, question: Question) -> list[tuple[str, str, Mapping[str, Any]]]:
    """Id, state and plan of the jobs that are still to answer the question, newest first."""
    job = SelectionJob
    chosen = select(job.id, job.state, job.plan).where(job.state.in_(LIVE), *question.asked())
    return [
        (job_id, state, plan) for job_id, state, plan in session.execute(chosen.order_by(job.created_at.desc(), job.id))
    ]


def _full_seeds(session: Session, question: Question) -> dict[str, list[int]]:
    """By finished job, of each teacher under which a student was trained: on how many seeds fully."""
    full = func.count(distinct(case((Run.purpose == "full", JobRun.seed))))
    chosen = (
        select(JobRun.job_id, JobRun.candidate_id, full)
        .join(Run, Run.id == JobRun.run_id)
        .join(Candidate, Candidate.id == JobRun.candidate_id)
        .join(SelectionJob, SelectionJob.id == JobRun.job_id)
        .where(
            SelectionJob.state == "finished", Run.state == "finished", Run.purpose != "teacher",
            Candidate.teacher.is_not(None), Candidate.status != "failed", *question.asked(),
        )
        .group_by(JobRun.job_id, JobRun.candidate_id)
    )  # fmt: skip
    found: dict[str, list[int]] = {}
    for job_id, _, seeds in session.execute(chosen):
        found.setdefault(job_id, []).append(seeds)
    return found
