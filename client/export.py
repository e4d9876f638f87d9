"""`dpk export`: a job's trained student as a folder."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated

import typer

from client.errors import InputFault, ServerUnreachable
from client.options import SERVER_DEFAULT, AsJson, JobId, Server, console, print_document
from client.sdk import Client
from client.terminal import say
from service.presentation.numbers import percent


def export(
    job_id: JobId,
    to: Annotated[Path, typer.Option("--to", file_okay=False, help="The folder to write; it must not hold another.")],
    teacher: Annotated[str | None, typer.Option(help="Take the student of this teacher; none: without one.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Take the training with this seed.")] = None,
    server: Server = SERVER_DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Take a job's trained student: weights, configuration, model card and the request that repeats the job.

    By default the student of the teacher that the verdict names, and of its seeds the median by validation accuracy.
    """
    if (to / "model.safetensors").exists():
        raise InputFault(f"{to} holds a student already; name another folder.")
    with Client(server) as client:
        found = client.student(job_id, teacher=teacher, seed=seed)
        content = client.student_weights(found)
    if hashlib.sha256(content).hexdigest() != found.weights.sha256:
        raise ServerUnreachable("The weights did not arrive whole; try again.")
    to.mkdir(parents=True, exist_ok=True)
    (to / "config.json").write_text(json.dumps(found.config, indent=2) + "\n", encoding="utf-8")
    (to / "README.md").write_text(found.card, encoding="utf-8")
    (to / "request.json").write_text(json.dumps(found.request, indent=2) + "\n", encoding="utf-8")
    (to / "model.safetensors").write_bytes(content)
    if as_json:
        print_document(found)
        return
    taught = "without a teacher" if found.teacher is None else f"taught by {found.teacher}"
    say(console(), f"{found.model}, {taught}: {percent(found.test_score)} of the test pictures. {found.chosen}")
    say(console(), f"Written to {to}: model.safetensors, config.json, README.md, request.json", whole=True)
