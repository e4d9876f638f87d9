"""A leaderboard and a job's runs as CSV, JSON and Parquet. Accuracies are fractions, times device seconds."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from service.job_runs.schemas import JobRun
from service.problems import Unavailable
from service.schemas import FieldError
from service.wire.boards import Interval, Leaderboard, Row, Summary

TableName = Literal["leaderboard", "runs"]
Format = Literal["csv", "json", "parquet"]
MEDIA_TYPES: dict[Format, str] = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "parquet": "application/vnd.apache.parquet",
}
Record = dict[str, str | int | float | bool | datetime | None]
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Beginnings of a cell that spreadsheets take for a formula."""


def leaderboard_records(board: Leaderboard) -> list[Record]:
    """A record for each row, in the order of the board."""
    return [_row(board, row) for row in board.rows]


def run_records(job_id: str, runs: Sequence[JobRun]) -> list[Record]:
    """A record for each run."""
    return [{"job": job_id, **run.model_dump()} for run in runs]


def written(records: Sequence[Record], form: Format) -> bytes:
    """The table in this format. Raises Unavailable for Parquet where pyarrow is not installed."""
    if form == "json":
        return (json.dumps(records, indent=2, default=datetime.isoformat) + "\n").encode()
    return _csv(records) if form == "csv" else _parquet(records)


def _row(board: Leaderboard, row: Row) -> Record:
    request, verdict = board.job.request, board.verdict
    return {
        "job": board.job.id, "student": str(request.student), "dataset": request.dataset,
        "method": request.method.name, "metric": board.metric.name, "stamp": row.stamp, "rank": row.rank,
        "teacher": row.teacher, "label": row.label, "status": row.status,
        "is_best": verdict is not None and row.teacher is not None and row.teacher == verdict.best,
        "is_tied": verdict is not None and row.teacher in verdict.tied,
        "teacher_accuracy": row.teacher_accuracy, "teacher_test_accuracy": row.teacher_test_accuracy,
        "teacher_parameters": row.teacher_parameters, "chance": row.chance,
        **_interval("expected", row.expected), **_interval("gain", row.gain),
        **_summary("probe", row.probe), **_summary("full", row.full), **_summary("test", row.test),
        "seconds": row.seconds, "reason": row.reason,
    }  # fmt: skip


def _interval(name: str, interval: Interval | None) -> Record:
    value, low, high = (None, None, None) if interval is None else (interval.value, interval.low, interval.high)
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def _summary(name: str, summary: Summary | None) -> Record:
    mean, sd, seeds = (None, None, None) if summary is None else (summary.mean, summary.sd, summary.seeds)
    return {f"{name}_mean": mean, f"{name}_sd": sd, f"{name}_seeds": seeds}


def _csv(records: Sequence[Record]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(records[0] if records else [])
    writer.writerows([_cell(value) for value in record.values()] for record in records)
    return text.getvalue().encode()


def _cell(value: object) -> object:
    """A cell; text that a spreadsheet would compute is marked as text."""
    if isinstance(value, datetime):
        return value.isoformat()
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _parquet(records: Sequence[Record]) -> bytes:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        message = "Parquet needs pyarrow, which the server lacks: install dpk-select[parquet] there, or take CSV."
        raise Unavailable(message, [FieldError(field="format", message=message)]) from None
    kinds: dict[type[Any], Any] = {
        str: pa.string(), bool: pa.bool_(), int: pa.int64(), float: pa.float64(), datetime: pa.timestamp("us", "UTC"),
    }  # fmt: skip
    columns = {
        name: pa.array([record[name] for record in records], kinds[_kind([record[name] for record in records])])
        for name in (records[0] if records else {})
    }
    target = io.BytesIO()
    pq.write_table(pa.table(columns), target)
    return target.getvalue()


def _kind(values: Sequence[object]) -> type[Any]:
    """That of a column's values; whole numbers among others count as fractions, and a column of nothing is text."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int, float}:
        return float
    return kinds.pop() if kinds else str
