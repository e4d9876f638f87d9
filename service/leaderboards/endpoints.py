"""Leaderboards over HTTP."""

from __future__ import annotations

from fastapi import APIRouter

from service.database.dependencies import Reading
from service.leaderboards import service
from service.parameters import NO_PARAMETERS
from service.problems import responses
from service.selection_jobs.endpoints import JobId
from service.wire.boards import Leaderboard

router = APIRouter(prefix="/selection-jobs", tags=["selection jobs"])


@router.get(
    "/{job_id}/leaderboard", operation_id="get_leaderboard", summary="A job's leaderboard",
    dependencies=NO_PARAMETERS, responses=responses(404),
)  # fmt: skip
def leaderboard(session: Reading, job_id: JobId) -> Leaderboard:
    """Candidates in their places, verdict, correlations, cost and learning curves; useful while the job runs, too."""
    return service.leaderboard(session, job_id)
