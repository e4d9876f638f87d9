"""Commands that change a job: pause, resume, retry, add-teacher, name."""

from __future__ import annotations

from typing import Annotated

import typer
from pydantic import ValidationError

from client.errors import InputFault
from client.options import SERVER_DEFAULT, AsJson, JobId, Server, console, print_document
from client.request_help import TEACHER
from client.sdk import Client
from client.teacher_text import read_teacher
from client.terminal import say
from service.wire.jobs import Job, JobDescription, TeacherRequest


def pause(job_id: JobId, server: Server = SERVER_DEFAULT, as_json: AsJson = False) -> None:
    """Begin nothing new for a job.

    What trains stops at its checkpoint, and its slots are free for other jobs.

    For example: dpk pause 4f1c
    """
    with Client(server) as client:
        _show(client.pause(client.full_id(job_id)), as_json=as_json)


def resume(job_id: JobId, server: Server = SERVER_DEFAULT, as_json: AsJson = False) -> None:
    """Let a paused job go on from its checkpoints.

    For example: dpk resume 4f1c
    """
    with Client(server) as client:
        _show(client.resume(client.full_id(job_id)), as_json=as_json)


def retry(
    job_id: JobId,
    run: Annotated[str | None, typer.Option(metavar="RUN", help="A failed run, with those of its arm.")] = None,
    teacher: Annotated[
        str | None, typer.Option(metavar="MODEL", help="What failed under this teacher; none: without a teacher.")
    ] = None,
    server: Server = SERVER_DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Try again what failed in a job.

    Everything, or what --run or --teacher names. A job that is over runs again.

    For example: dpk retry 4f1c --teacher cifar/resnet20
    """
    if run is not None and teacher is not None:
        raise InputFault("Give either --run or --teacher, not both.")
    with Client(server) as client:
        _show(client.retry(client.full_id(job_id), run=run, teacher=teacher), as_json=as_json)


def add_teacher(
    job_id: JobId,
    teacher: Annotated[str, typer.Argument(metavar="MODEL", help=TEACHER)],
    server: Server = SERVER_DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Compare another teacher too.

    The job explores again, and keeps what it has trained.

    For example: dpk add-teacher 4f1c timm/resnet50@pretrained
    """
    try:
        wanted = TeacherRequest.model_validate({"teacher": read_teacher(teacher)})
    except ValidationError as error:
        raise InputFault.of(error) from None
    with Client(server) as client:
        _show(client.add_teacher(client.full_id(job_id), wanted.teacher), as_json=as_json)


def name(
    job_id: JobId,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="The name; empty takes it away.")] = None,
    tag: Annotated[list[str] | None, typer.Option(metavar="TAG", help="In place of its tags; once for each.")] = None,
    server: Server = SERVER_DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Give a job a name and tags.

    `dpk jobs --search` and `--tag` find it by them.

    For example: dpk name 4f1c "before the release" --tag nightly
    """
    given = {**({} if name is None else {"name": name or None}), **({} if tag is None else {"tags": tag})}
    if not given:
        raise InputFault("Give a name, or tags with --tag.")
    try:
        wanted = JobDescription.model_validate(given)
    except ValidationError as error:
        raise InputFault.of(error) from None
    with Client(server) as client:
        job = client.describe(client.full_id(job_id), wanted)
        if as_json:
            print_document(job)
        else:
            say(console(), f"{job.name or job.id}{''.join(f' #{each}' for each in job.tags)}")


def _show(job: Job, *, as_json: bool) -> None:
    if as_json:
        print_document(job)
    else:
        say(console(), job.headline)
