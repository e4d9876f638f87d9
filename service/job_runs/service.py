"""What a job trained, run by run, and what happened to it. Reads in the caller's transaction."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from dpk_core.tasks import METRICS
from service.database.session import reading
from service.database.tables import JobRun, Run
from service.events import repository as events
from service.events.schemas import LAST_KINDS
from service.job_runs import repository, schemas
from service.leaderboards.curves import points
from service.presentation.event_words import event_sentence
from service.presentation.metric_words import WORDS
from service.problems import NotFound
from service.runs.repository import refusals
from service.scheduling import repository as jobs
from service.scheduling.snapshot import Snapshot
from service.selection_jobs.service import job_of


def runs(session: Session, job_id: str) -> schemas.JobRunList:
    """All runs of a job, cancelled ones too. Raises NotFound."""
    snapshot = jobs.snapshot(session, job_of(session, job_id))
    teachers = _teachers(snapshot)
    order = {arm.candidate.id: position for position, arm in enumerate(snapshot.arms)}
    links = sorted(
        snapshot.links,
        key=lambda pair: (
            order[pair[0].candidate_id], pair[0].purpose != "teacher", pair[0].seed, pair[1].spec["stop_epoch"],
            pair[1].created_at, pair[1].id,
        ),
    )  # fmt: skip
    return schemas.JobRunList(
        metric=METRICS[snapshot.plan.task],
        runs=[schemas.JobRun(**_facts(link, run, teachers[link.candidate_id])) for link, run in links],
    )


def read_runs(job_id: str) -> schemas.JobRunList:
    """The same in a transaction of its own."""
    with reading() as session:
        return runs(session, job_id)


def run(session: Session, job_id: str, run_id: str) -> schemas.JobRunDetails:
    """One run of a job. Raises NotFound."""
    snapshot = jobs.snapshot(session, job_of(session, job_id))
    wanted = [(link, row) for link, row in snapshot.links if row.id == run_id]
    if not wanted:
        raise NotFound(f"Job {job_id} has no run {run_id!r}; GET /selection-jobs/{job_id}/runs lists its runs.")
    link, row = wanted[0]
    return schemas.JobRunDetails(
        **_facts(link, row, _teachers(snapshot)[link.candidate_id]),
        spec=row.spec,
        points=points(repository.measurements(session, run_id)),
        notices=[each["message"] for each in row.final_notices],
        last_error=row.last_error,
        waits=[each.reason for each in refusals(session, run_id)],
    )


def log(session: Session, job_id: str, *, after: int, limit: int) -> schemas.JobLog:
    """What happened to a job after the event `after`, in words. Raises NotFound."""
    snapshot = jobs.snapshot(session, job_of(session, job_id))
    labels = {arm.candidate.id: arm.label for arm in snapshot.arms}
    words = WORDS[snapshot.plan.task]
    rows = events.after(session, job_id, after, limit)
    lines = [
        schemas.LogLine.model_validate({"id": row.id, "at": row.created_at, "kind": row.kind, "text": text})
        for row in rows
        for text in [event_sentence(row.kind, row.data, labels, words)]
    ]
    over = snapshot.job.state in LAST_KINDS and len(rows) < limit
    return schemas.JobLog(lines=lines, next_after=rows[-1].id if rows else after, over=over)


def _teachers(snapshot: Snapshot) -> dict[int, str | None]:
    return {arm.candidate.id: arm.candidate.teacher for arm in snapshot.arms}


def _facts(link: JobRun, run: Run, teacher: str | None) -> dict[str, Any]:
    result = run.result or {}
    return {
        "id": run.id, "teacher": teacher, "purpose": link.purpose, "model": run.student, "seed": run.seed,
        "epochs": run.spec["stop_epoch"], "state": run.state, "reused": link.reused, "step": run.step,
        "total_steps": run.total_steps, "validation_score": result.get("validation_score"),
        "test_score": result.get("test_score"), "seconds": run.seconds, "wasted_seconds": run.wasted_seconds,
        "attempts": run.attempts, "device": run.device, "failure": run.failure, "created_at": run.created_at,
        "started_at": run.started_at, "finished_at": run.finished_at,
    }  # fmt: skip
