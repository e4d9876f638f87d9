"""A job's leaderboard."""

from __future__ import annotations

from sqlalchemy.orm import Session

from service.health import service as health
from service.leaderboards import earlier
from service.leaderboards.board import leaderboard as build
from service.scheduling import repository
from service.selection_jobs.service import found
from service.selection_jobs.views import current_verdict, job_view
from service.wire.boards import Leaderboard


def leaderboard(session: Session, job_id: str) -> Leaderboard:
    """Everything a page or a report shows about a job. Raises NotFound."""
    snapshot = repository.snapshot(session, found(session, job_id))
    verdict = repository.newest_verdicts(session, [job_id]).get(job_id)
    return build(
        snapshot,
        job_view(snapshot, verdict, health.slots(session), health.missing_worker(session)),
        current_verdict(snapshot, verdict),
        repository.measurements(session, snapshot),
        repository.measured(session, snapshot),
        earlier.comparison_groups(session, snapshot.job, snapshot.plan),
        earlier.previous_winner(session, snapshot.job, snapshot.plan),
    )
