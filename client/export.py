"""`dpk export`: a job's trained student as a folder, and its leaderboard and runs as files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel

from client import torch_half
from client.errors import ClientError, InputFault
from client.extras import need
from client.mlflow import Mlflow, check_ended
from client.options import SERVER_DEFAULT, AsJson, JobId, Server, console, print_document
from client.sdk import Client
from client.terminal import say
from service.presentation.metric_words import WORDS
from service.students.schemas import Student


class Format(StrEnum):
    """Formats of a student; the first is always written."""

    SAFETENSORS = "safetensors"
    PT2 = "pt2"
    ONNX = "onnx"


class Exported(BaseModel):
    """What `--json` prints: the files that were written, what the student is, if it was asked for, and how many runs
    were new to the MLflow server."""

    files: list[Path]
    student: Student | None
    mlflow_runs: int


_NEEDS = {Format.SAFETENSORS: (), Format.PT2: ("torch",), Format.ONNX: ("torch", "onnx", "onnxscript")}
_FORMAT_HELP = (
    "Write model.pt2 (torch.export) or model.onnx too; may be repeated. Needs torch here. Of a detector, its "
    "networks and detect.py, which makes boxes of their outputs."
)
_WHAT = "--to DIR, --leaderboard FILE, --runs FILE, --report FILE or --mlflow URL"
_TABLES = {".csv": "csv", ".json": "json", ".parquet": "parquet"}
_MLFLOW_HELP = "Write the job and its trainings to this MLflow server."
_TO_HELP = "Write the trained student to this folder; it must not hold another."
_TABLE_HELP = "as a table, by the file's ending: .csv, .json or .parquet."


def export(
    job_id: JobId,
    to: Annotated[Path | None, typer.Option("--to", metavar="DIR", file_okay=False, help=_TO_HELP)] = None,
    teacher: Annotated[str | None, typer.Option(help="Take the student of this teacher; none: without one.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Take the training with this seed.")] = None,
    formats: Annotated[list[Format] | None, typer.Option("--format", help=_FORMAT_HELP)] = None,
    leaderboard: Annotated[
        Path | None, typer.Option(metavar="FILE", dir_okay=False, help=f"Write the leaderboard {_TABLE_HELP}")
    ] = None,
    runs: Annotated[
        Path | None, typer.Option(metavar="FILE", dir_okay=False, help=f"Write every training {_TABLE_HELP}")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", dir_okay=False, help="Write the page as one HTML file.")
    ] = None,
    mlflow: Annotated[str | None, typer.Option(metavar="URL", help=_MLFLOW_HELP)] = None,
    experiment: Annotated[str, typer.Option(help="With --mlflow: the experiment.")] = "dpk-select",
    server: Server = SERVER_DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Take a job's student, leaderboard and runs.

    The student is by default that of the teacher that the verdict names, and of its seeds the median by validation
    score.

    For example: dpk export 0f3c2a9d --to my-student --leaderboard board.csv
    """
    tables = [(name, file) for name, file in (("leaderboard", leaderboard), ("runs", runs)) if file is not None]
    for name, file in tables:
        if file.suffix.lower() not in _TABLES:
            raise InputFault(f"--{name}: name a file that ends in {', '.join(_TABLES)}, not {file.name}.")
    if to is None and not tables and report is None and mlflow is None:
        raise InputFault(f"Say what to export: {_WHAT}.")
    if to is None and (teacher is not None or seed is not None or formats):
        raise InputFault("--teacher, --seed and --format choose a student; give them with --to DIR.")
    others = _checked(to, formats)
    files: list[Path] = []
    with Client(server) as client:
        job = client.full_id(job_id)
        for name, file in tables:
            file.write_bytes(client.table(job, name, _TABLES[file.suffix.lower()]))
            files.append(file)
        if report is not None:
            report.write_text(client.report(job), encoding="utf-8")
            files.append(report)
        written = 0 if mlflow is None else _write_mlflow(client, job, mlflow, experiment)
        student = None if to is None else client.student(job, teacher=teacher, seed=seed)
        if to is not None and student is not None:
            files += _write_student(client, student, to, others)
    if as_json:
        print_document(Exported(files=files, student=student, mlflow_runs=written))
        return
    if student is not None:
        taught = "without a teacher" if student.teacher is None else f"taught by {student.teacher}"
        words = WORDS[student.task]
        score = f"{words.score(student.test_score)} {'on' if student.task == 'detection' else 'of'} the test pictures"
        say(console(), f"{student.model}, {taught}: {score}. {student.chosen}")
    if mlflow is not None:
        say(console(), f"Written to MLflow at {mlflow}: {written} runs that were not there.")
    for file in files:
        say(console(), f"Written: {file}", whole=True)


def _write_mlflow(client: Client, job_id: str, address: str, experiment: str) -> int:
    board = client.leaderboard(job_id)
    check_ended(board)
    runs = [client.run(job_id, each.id) for each in client.runs(job_id).runs]
    server = Mlflow(address)
    try:
        return server.export(board, runs, experiment)
    finally:
        server.close()


def _checked(to: Path | None, formats: Sequence[Format] | None) -> Sequence[Format]:
    """The formats beside safetensors. Raises InputFault."""
    if to is not None and (to / "model.safetensors").exists():
        raise InputFault(f"{to} holds a student already; name another folder.")
    others = [each for each in Format if each in (formats or []) and each is not Format.SAFETENSORS]
    for each in others:
        need(f"dpk export --format {each}", "runner", *_NEEDS[each])
    return others


def _write_student(client: Client, found: Student, to: Path, others: Sequence[Format]) -> list[Path]:
    content, program = client.student_weights(found), client.student_program(found)
    to.mkdir(parents=True, exist_ok=True)
    (to / "config.json").write_text(json.dumps(found.config, indent=2) + "\n", encoding="utf-8")
    (to / "README.md").write_text(found.card, encoding="utf-8")
    (to / "request.json").write_text(json.dumps(found.request, indent=2) + "\n", encoding="utf-8")
    if program is not None:
        (to / "program.safetensors").write_bytes(program)
    (to / "model.safetensors").write_bytes(content)
    if others:
        try:
            torch_half.ask("convert", to.absolute(), *others)
        except ClientError as error:
            raise InputFault(f"{error} The rest of the student is in {to}.") from None
    return sorted(to.iterdir())
