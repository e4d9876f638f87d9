"""Device seconds that a job spent, and its time by the clock; pure. A run that was finished before the job asked for it
is free."""

from __future__ import annotations

from collections.abc import Iterable

from service.database.tables import JobRun, Run, SelectionJob
from service.scheduling.snapshot import Snapshot


def row_seconds(links: Iterable[tuple[JobRun, Run]], candidate_id: int) -> float:
    """Spent for one candidate, what led nowhere included."""
    return sum(run_seconds(run) for link, run in links if link.candidate_id == candidate_id and not link.reused)


def student_seconds(snapshot: Snapshot) -> float:
    """Spent on students, what led nowhere included: what a limit of training time is held against."""
    return sum(run_seconds(run) for link, run in snapshot.links if link.purpose != "teacher" and not link.reused)


def total_seconds(snapshot: Snapshot) -> float:
    """Spent on everything, teachers included."""
    return sum(run_seconds(run) for link, run in snapshot.links if not link.reused)


def run_seconds(run: Run) -> float:
    """Spent on a run, what restarts did again included."""
    return run.seconds + run.wasted_seconds


def clock_seconds(job: SelectionJob) -> float | None:
    """By the clock from the start of a job, or from when it began to run again, to its end; pauses are left out. None
    of a job that is not over or was never started."""
    if job.started_epoch is None or job.finished_at is None:
        return None
    end = job.finished_at.timestamp() if job.paused_epoch is None else job.paused_epoch
    return max(0.0, end - job.started_epoch)
