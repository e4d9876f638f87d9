"""`dpk export`: a job's trained student as a folder."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from client import torch_half
from client.errors import ClientError, InputFault
from client.options import SERVER_DEFAULT, AsJson, JobId, Server, console, print_document
from client.sdk import Client
from client.terminal import say
from service.presentation.metric_words import WORDS


class Format(StrEnum):
    """Formats of a student; the first is always written."""

    SAFETENSORS = "safetensors"
    PT2 = "pt2"
    ONNX = "onnx"


_NEEDS = {Format.SAFETENSORS: (), Format.PT2: ("torch",), Format.ONNX: ("torch", "onnx", "onnxscript")}
_FORMAT_HELP = (
    "Write model.pt2 (torch.export) or model.onnx too; may be repeated. Needs torch here. Of a detector, its "
    "networks and detect.py, which makes boxes of their outputs."
)


def export(
    job_id: JobId,
    to: Annotated[Path, typer.Option("--to", file_okay=False, help="The folder to write; it must not hold another.")],
    teacher: Annotated[str | None, typer.Option(help="Take the student of this teacher; none: without one.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Take the training with this seed.")] = None,
    formats: Annotated[list[Format] | None, typer.Option("--format", help=_FORMAT_HELP)] = None,
    server: Server = SERVER_DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Take a job's trained student: weights, configuration, model card and the request that repeats the job.

    By default the student of the teacher that the verdict names, and of its seeds the median by validation score.
    """
    if (to / "model.safetensors").exists():
        raise InputFault(f"{to} holds a student already; name another folder.")
    others = [each for each in Format if each in (formats or []) and each is not Format.SAFETENSORS]
    for each in others:
        torch_half.need(f"dpk export --format {each}", *_NEEDS[each])
    with Client(server) as client:
        found = client.student(client.full_id(job_id), teacher=teacher, seed=seed)
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
    if as_json:
        print_document(found)
        return
    taught = "without a teacher" if found.teacher is None else f"taught by {found.teacher}"
    words = WORDS[found.task]
    score = f"{words.score(found.test_score)} {'on' if found.task == 'detection' else 'of'} the test pictures"
    say(console(), f"{found.model}, {taught}: {score}. {found.chosen}")
    say(console(), f"Written to {to}: {', '.join(sorted(file.name for file in to.iterdir()))}", whole=True)
