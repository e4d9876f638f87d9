"""Leaderboards over HTTP."""

from __future__ import annotations

from fastapi import APIRouter, Response

from service.conditional import UNCHANGED, IfNoneMatch, document, holds, unchanged
from service.leaderboards import service
from service.parameters import NO_PARAMETERS
from service.problems import responses
from service.selection_jobs.endpoints import JobId
from service.wire.boards import Leaderboard

router = APIRouter(prefix="/selection-jobs", tags=["selection jobs"])


@router.get(
    "/{job_id}/leaderboard", operation_id="get_leaderboard", summary="A job's leaderboard",
    dependencies=NO_PARAMETERS, response_model=Leaderboard, responses={**UNCHANGED, **responses(404)},
)  # fmt: skip
def leaderboard(job_id: JobId, if_none_match: IfNoneMatch = None) -> Response:
    """Candidates in their places, verdict, correlations, cost and learning curves; useful while the job runs, too.
    A finished job's board stays as it is, unless somebody adds a teacher, retries a run or names the job anew."""
    made = service.made(job_id)
    return unchanged(made.etag) if holds(made.etag, if_none_match) else document(made.etag, made.body)
