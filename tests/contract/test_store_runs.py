"""A job's runs, its log and its tables, on SQLite and on Postgres."""

from __future__ import annotations

import csv
import io
import json

import pyarrow.parquet as pq
import pytest

from service.database.session import reading
from service.job_runs import service, tables
from service.job_runs.schemas import JobRunList
from service.problems import NotFound
from tests.contract import job_driver as drive
from tests.contract.job_driver import Failure, by_skill

pytestmark = pytest.mark.usefixtures("store")


def finished() -> str:
    job_id = drive.submit()
    drive.run_to_end(
        job_id, lambda spec: Failure("=1+1") if spec.training.model == "cifar/resnet8w8" else by_skill(spec)
    )
    return job_id


def runs_of(job_id: str) -> JobRunList:
    return service.read_runs(job_id)


def test_runs_log_and_tables_of_a_job() -> None:
    job_id = finished()
    found = runs_of(job_id).runs
    assert {run.id for run in found} == {run.id for run in drive.runs_of(job_id)}
    failed = next(run for run in found if run.state == "failed")
    assert (failed.teacher, failed.purpose, failed.failure) == ("cifar/resnet8w8", "teacher", "=1+1")
    full = next(run for run in found if run.purpose == "confirm" and run.teacher == "cifar/resnet20")
    with reading() as session:
        details = service.run(session, job_id, full.id)
        with pytest.raises(NotFound, match="has no run 'f00'"):
            service.run(session, job_id, "f00")
    assert details.points[-1].epoch == full.epochs
    assert details.spec["training"]["teacher"]["model"] == "cifar/resnet20"
    _check_log(job_id)
    _check_tables(job_id, found)


def _check_log(job_id: str) -> None:
    lines, after, over = [], 0, False
    while not over:
        with reading() as session:
            part = service.log(session, job_id, after=after, limit=7)
        lines += part.lines
        after, over = part.next_after, part.over
    assert [line.id for line in lines] == [event.id for event in drive.events_of(job_id)]
    said = [line.text for line in lines]
    assert (said[0], said[-1]) == ("The job was submitted.", "The job finished.")
    assert "Exploring begins." in said
    assert "Preparation of resnet8w8: failed. =1+1" in said
    assert "resnet8w8: failed. The preparation failed: =1+1" in said
    assert any(text.startswith("Decision 1, ") for text in said)
    assert any(text.startswith("Student without a teacher, seed 0: ") for text in said)
    assert drive.final_verdict(job_id)["sentence"] in said


def _check_tables(job_id: str, found: list[service.schemas.JobRun]) -> None:
    board = tables.leaderboard_records(drive.board(job_id))
    rows = list(csv.DictReader(io.StringIO(tables.written(board, "csv").decode())))
    assert [row["label"] for row in rows] == [row.label for row in drive.board(job_id).rows]
    assert [row["is_best"] for row in rows].count("True") == 1
    as_json = json.loads(tables.written(board, "json"))
    stored = pq.read_table(io.BytesIO(tables.written(board, "parquet"))).to_pylist()
    assert as_json == stored == board
    records = tables.run_records(job_id, found)
    assert pq.read_table(io.BytesIO(tables.written(records, "parquet"))).to_pylist() == records
    failures = [row["failure"] for row in csv.DictReader(io.StringIO(tables.written(records, "csv").decode()))]
    assert "'=1+1" in failures  # a spreadsheet must not compute it


def test_a_job_without_runs_has_tables_too() -> None:
    job_id = drive.submit()
    assert runs_of(job_id).runs == []
    for form in tables.MEDIA_TYPES:
        tables.written(tables.run_records(job_id, []), form)
