"""A job's runs, its log and its tables over HTTP."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field

from service.database.dependencies import Reading
from service.events.endpoints import GREATEST_ID
from service.job_runs import service, tables
from service.job_runs.schemas import JobLog, JobRunDetails, JobRunList
from service.leaderboards import service as leaderboards
from service.parameters import NO_PARAMETERS, Parameters
from service.problems import responses
from service.selection_jobs.endpoints import JobId

router = APIRouter(prefix="/selection-jobs", tags=["runs"])
RunId = Annotated[str, Path(max_length=32, description="A run's id.")]


class LogParameters(Parameters):
    """Which part of the log."""

    after: int = Field(default=0, ge=0, le=GREATEST_ID, description="`next_after` of the part before.")
    limit: int = Field(default=200, ge=1, le=1000)


class TableParameters(Parameters):
    """Which table, and how it is written."""

    table: tables.TableName = Field(default="leaderboard", description="Teachers, or every training.")
    format: tables.Format = Field(default="csv", description="Parquet needs pyarrow on the server.")


@router.get(
    "/{job_id}/runs", operation_id="list_runs", summary="A job's trainings",
    dependencies=NO_PARAMETERS, responses=responses(404),
)  # fmt: skip
def runs(session: Reading, job_id: JobId) -> JobRunList:
    """Every training that the job asked for, reused, failed and cancelled ones too."""
    return service.runs(session, job_id)


@router.get(
    "/{job_id}/runs/{run_id}", operation_id="get_run", summary="One training of a job",
    dependencies=NO_PARAMETERS, responses=responses(404),
)  # fmt: skip
def run(session: Reading, job_id: JobId, run_id: RunId) -> JobRunDetails:
    """What it trains, what it measured epoch by epoch, and why it waits or failed."""
    return service.run(session, job_id, run_id)


@router.get(
    "/{job_id}/log", operation_id="get_log", summary="What happened to a job, in words", responses=responses(404)
)
def log(session: Reading, job_id: JobId, asked: Annotated[LogParameters, Query()]) -> JobLog:
    """In order, part by part. `…/events` streams the same as it happens."""
    return service.log(session, job_id, after=asked.after, limit=asked.limit)


_TABLE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The table.",
        "content": {
            "text/csv": {"schema": {"type": "string"}},
            "application/vnd.apache.parquet": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


@router.get(
    "/{job_id}/table", operation_id="get_table", summary="A job as a flat table", response_class=Response,
    responses={**_TABLE, **responses(404)},
)  # fmt: skip
def table(job_id: JobId, asked: Annotated[TableParameters, Query()]) -> Response:
    """The leaderboard or the runs as CSV, JSON or Parquet. `…/report` is the leaderboard as one HTML file."""
    if asked.table == "leaderboard":
        records = tables.leaderboard_records(leaderboards.made(job_id).leaderboard())
    else:
        records = tables.run_records(job_id, service.read_runs(job_id).runs)
    name = f"{asked.table}-{job_id[:8]}.{asked.format}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(tables.written(records, asked.format), media_type=tables.MEDIA_TYPES[asked.format], headers=headers)
