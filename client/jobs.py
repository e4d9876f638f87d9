"""Commands about selection jobs: submit, watch, leaderboard, cancel."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from client.errors import InputFault, JobEnded
from client.options import SERVER_DEFAULT, AsJson, JobId, Server, console, print_document
from client.progress import follow
from client.sdk import Client
from client.terminal import print_leaderboard, say
from dpk_core.catalogue.weights import split_weights
from service.selection_jobs.schemas import Job, SelectionJobRequest
from service.validation import field_errors

TEACHER_HELP = (
    "A candidate teacher, as family/name[@weights][,preparation[=epochs]]; give it once per teacher. Weights: random, "
    "pretrained or file:name.safetensors. Preparation: auto, train, as_is, head or fine_tune."
)

POLICY_HELP = "What decides who trains next: posterior, halving, exhaustive or teacher_accuracy."


def submit(
    student: Annotated[str | None, typer.Option(help="The student, as family/name[@weights].")] = None,
    dataset: Annotated[str | None, typer.Option(help="The data set.")] = None,
    teacher: Annotated[list[str] | None, typer.Option(help=TEACHER_HELP)] = None,
    file: Annotated[Path | None, typer.Option(help="The whole request as JSON; - for standard input.")] = None,
    method: Annotated[str | None, typer.Option(help="dpk or kd.")] = None,
    profile: Annotated[str | None, typer.Option(help="Sizes of DPK's modules: probe or paper.")] = None,
    seeds: Annotated[int | None, typer.Option(help="Replicates of every student training.")] = None,
    recipe: Annotated[str | None, typer.Option(help="Recipe by name.")] = None,
    classes: Annotated[int | None, typer.Option(help="Classes the student must tell apart.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of a full training.")] = None,
    rung: Annotated[
        list[int] | None, typer.Option(help="An epoch to compare at; once per rung, the last is all.")
    ] = None,
    teacher_epochs: Annotated[int | None, typer.Option(help="Epochs of a teacher's preparation.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Pictures a training step.")] = None,
    promote: Annotated[int | None, typer.Option(help="Teachers trained fully in the end.")] = None,
    policy: Annotated[str | None, typer.Option(help=POLICY_HELP)] = None,
    chance: Annotated[float | None, typer.Option(help="Of the likeliest being best, that ends exploring.")] = None,
    margin: Annotated[float | None, typer.Option(help="Difference that does not matter, as a fraction.")] = None,
    audit: Annotated[float | None, typer.Option(help="Probability of fully training a dropped teacher.")] = None,
    seconds: Annotated[float | None, typer.Option(help="Training time of all students together.")] = None,
    wall_seconds: Annotated[float | None, typer.Option(help="After this time the job ends with what it has.")] = None,
    runs: Annotated[int | None, typer.Option(help="Student trainings that may be begun.")] = None,
    prefer_cheaper: Annotated[bool, typer.Option("--prefer-cheaper", help="Of equals, the cheapest teacher.")] = False,
    idempotency_key: Annotated[str | None, typer.Option(help="Same key, same job: for retries in CI.")] = None,
    server: Server = SERVER_DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Ask which teacher a student should learn from."""
    budget: dict[str, Any] = {"epochs": epochs, "rungs": rung, "teacher_epochs": teacher_epochs}
    budget |= {"batch_size": batch_size, "promote": promote, "policy": policy, "chance": chance, "margin": margin}
    budget |= {"audit": audit, "seconds": seconds, "wall_seconds": wall_seconds, "runs": runs}
    budget["prefer_cheaper"] = prefer_cheaper or None
    teachers = None if teacher is None else [_teacher(text) for text in teacher]
    typed: dict[str, Any] = {"student": student, "dataset": dataset, "teachers": teachers, "method": method}
    typed |= {"profile": profile, "seeds": seeds, "recipe": recipe, "classes": classes}
    typed["budget"] = {name: value for name, value in budget.items() if value is not None} or None
    request = _request(file, {name: value for name, value in typed.items() if value is not None})
    with Client(server) as client:
        job = client.submit(request, idempotency_key=idempotency_key)
        if as_json:
            print_document(job)
        else:
            sys.stdout.write(f"{job.id}\n{client.base_url}{job.links.page}\n")


def watch(job_id: JobId, server: Server = SERVER_DEFAULT, as_json: AsJson = False) -> None:
    """Follow a job until it is over; ends with 1 when it failed or was cancelled."""
    with Client(server) as client:
        if as_json:
            job = _stream(client, job_id)
        else:
            job = follow(console(), client.watch(job_id))
            if job.state == "finished":
                say(console(), job.verdict or "The job is finished.")
        raise_if_ended(job)


def leaderboard(job_id: JobId, server: Server = SERVER_DEFAULT, as_json: AsJson = False) -> None:
    """Show what is known about a job's teachers."""
    with Client(server) as client:
        board = client.leaderboard(job_id)
        if as_json:
            print_document(board)
            return
        print_leaderboard(console(), board)
        say(console(), f"Page: {client.base_url}{board.job.links.page}", whole=True)


def cancel(job_id: JobId, server: Server = SERVER_DEFAULT, as_json: AsJson = False) -> None:
    """Stop a job. What it has trained so far is kept for other jobs."""
    with Client(server) as client:
        job = client.cancel(job_id)
        if as_json:
            print_document(job)
        else:
            say(console(), job.headline)


def raise_if_ended(job: Job) -> None:
    """Raises JobEnded unless the job finished."""
    if job.state in ("failed", "cancelled"):
        raise JobEnded(job.headline)


def _stream(client: Client, job_id: str) -> Job:
    shown: Job | None = None
    for job in client.watch(job_id):
        if job != shown:
            print_document(job, line=True)
            shown = job
    assert shown is not None, "watching gives at least one job"
    return shown


def _request(file: Path | None, typed: dict[str, Any]) -> SelectionJobRequest:
    if file is not None and typed:
        raise InputFault(f"Give either --file or single options, not both (--file and {', '.join(sorted(typed))}).")
    document = typed if file is None else _read(file)
    try:
        return SelectionJobRequest.model_validate(document)
    except ValidationError as error:
        raise InputFault.because(field_errors(dict(finding) for finding in error.errors())) from None


def _teacher(text: str) -> str | dict[str, Any]:
    """What follows the last comma is the preparation; a file whose name has one is for --file."""
    name, comma, preparation = text.rpartition(",")
    if not comma:
        return text
    (model, weights), (kind, _, epochs) = split_weights(name), preparation.partition("=")
    return {"model": model, "weights": weights, "preparation": kind, "epochs": epochs or None}


def _read(file: Path) -> object:
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
        return json.loads(text)
    except OSError as error:
        raise InputFault(f"{file} cannot be read ({error.strerror}).") from None
    except ValueError as error:
        raise InputFault(f"{file} is not JSON ({error}).") from None
