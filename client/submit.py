"""`dpk submit`: a request from options or a file."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from client import request_help as about
from client.completing import one_of
from client.errors import InputFault
from client.jobs import follow_to_the_end
from client.options import (
    SERVER_DEFAULT,
    AsJson,
    Server,
    TimeOut,
    complaints,
    print_document,
    read_setting,
    write,
)
from client.sdk import Client
from client.teacher_text import read_teacher
from client.terminal import say
from dpk_core.recipes import DETECTION_RECIPES, RECIPES
from service.wire.jobs import SelectionJobRequest

RECIPE_NAMES = (*RECIPES, *DETECTION_RECIPES)
EPOCHS = "Epochs of a student's full training. Default: the recipe's."
RUNG = "An epoch after which trainings are compared and may stop; once per rung, the last is all of them."


def submit(
    student: Annotated[str | None, typer.Option(metavar="MODEL", help=about.STUDENT)] = None,
    dataset: Annotated[str | None, typer.Option(metavar="NAME", help="The data set, as `digits` or kind/name.")] = None,
    teacher: Annotated[list[str] | None, typer.Option(metavar="MODEL", help=about.TEACHER)] = None,
    file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The whole request as JSON; - for standard input.")
    ] = None,
    method: Annotated[str | None, typer.Option(help=about.METHOD, autocompletion=one_of(about.METHODS))] = None,
    profile: Annotated[str | None, typer.Option(help=about.PROFILE)] = None,
    seeds: Annotated[int | None, typer.Option(help=about.request("seeds"))] = None,
    recipe: Annotated[str | None, typer.Option(help=about.RECIPE, autocompletion=one_of(RECIPE_NAMES))] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help=about.SETTING)] = None,
    classes: Annotated[int | None, typer.Option(help=about.request("classes"))] = None,
    epochs: Annotated[int | None, typer.Option(help=EPOCHS)] = None,
    rung: Annotated[list[int] | None, typer.Option(metavar="EPOCH", help=RUNG)] = None,
    teacher_epochs: Annotated[int | None, typer.Option(help=about.budget("teacher_epochs"))] = None,
    batch_size: Annotated[int | None, typer.Option(help=about.budget("batch_size"))] = None,
    promote: Annotated[int | None, typer.Option(help=about.budget("promote"))] = None,
    policy: Annotated[
        str | None, typer.Option(help=about.budget("policy"), autocompletion=one_of(about.POLICIES))
    ] = None,
    chance: Annotated[float | None, typer.Option(help=about.budget("chance"))] = None,
    margin: Annotated[float | None, typer.Option(help=about.budget("margin"))] = None,
    audit: Annotated[float | None, typer.Option(help=about.budget("audit"))] = None,
    seconds: Annotated[float | None, typer.Option(help=about.budget("seconds"))] = None,
    wall_seconds: Annotated[float | None, typer.Option(help=about.budget("wall_seconds"))] = None,
    runs: Annotated[int | None, typer.Option(help=about.budget("runs"))] = None,
    prefer_cheaper: Annotated[bool, typer.Option("--prefer-cheaper", help=about.budget("prefer_cheaper"))] = False,
    idempotency_key: Annotated[str | None, typer.Option(help="Same key, same job: for retries in CI.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the job's id and nothing else.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Follow the job to its end, as `dpk watch` does.")] = False,
    timeout: TimeOut = None,
    server: Server = SERVER_DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Ask which teacher a student should learn from.

    For example: dpk submit --student cifar/resnet8w4 --dataset digits --teacher cifar/resnet20 --wait
    """
    _check_together(quiet=quiet, as_json=as_json, timeout=timeout, wait=wait)
    budget: dict[str, Any] = {"epochs": epochs, "rungs": rung, "teacher_epochs": teacher_epochs}
    budget |= {"batch_size": batch_size, "promote": promote, "policy": policy, "chance": chance, "margin": margin}
    budget |= {"audit": audit, "seconds": seconds, "wall_seconds": wall_seconds, "runs": runs}
    budget |= {"prefer_cheaper": prefer_cheaper or None}
    typed: dict[str, Any] = {"student": student, "dataset": dataset}
    typed |= {"teachers": [read_teacher(text) for text in teacher or []] or None}
    typed |= {"method": _choice(method), "recipe": _choice(recipe), "seeds": seeds, "classes": classes}
    for name, value in [*([] if profile is None else [("method.profile", profile)]), *map(_setting, settings or [])]:
        _set(typed, name, value)
    request = read_request(file, _given({**typed, "budget": _given(budget) or None}))
    with Client(server) as client:
        job = client.submit(request, idempotency_key=idempotency_key)
        if as_json and not wait:
            print_document(job)
        elif not as_json:
            write(f"{job.id}\n" if quiet else f"{job.id}\n{client.base_url}{job.links.page}\n")
        for notice in [] if quiet else job.notices:
            say(complaints(), notice.message)
        if wait:
            follow_to_the_end(client, job.id, timeout=timeout, as_json=as_json, quiet=quiet)


def _check_together(*, quiet: bool, as_json: bool, timeout: float | None, wait: bool) -> None:
    if quiet and as_json:
        raise InputFault("Give either --quiet or --json, not both.")
    if timeout is not None and not wait:
        raise InputFault("--timeout is for following a job; give it with --wait.")


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def read_request(file: Path | None, typed: dict[str, Any]) -> SelectionJobRequest:
    """A request from a file of JSON or from single options. Raises InputFault."""
    if file is not None and typed:
        raise InputFault(f"Give either --file or single options, not both (--file and {', '.join(sorted(typed))}).")
    if file is None and not typed:
        raise InputFault("Give --student, --dataset and --teacher, or the whole request with --file.")
    document = typed if file is None else _read(file)
    try:
        return SelectionJobRequest.model_validate(document)
    except ValidationError as error:
        raise InputFault.of(error) from None


def _choice(text: str | None) -> object:
    """A method or recipe by its name, or as a file of JSON says."""
    return _read(Path(text)) if text is not None and text.endswith(".json") else text


def _setting(text: str) -> tuple[str, object]:
    """Dotted name and value of `--set`. Raises InputFault."""
    form = "method.NAME=VALUE or recipe.NAME=VALUE"
    name, value = read_setting(text, form)
    if not name.startswith(("method.", "recipe.")) or "" in name.split("."):
        raise InputFault(f"--set takes {form}, not {text!r}.")
    return name, value


def _set(typed: dict[str, Any], name: str, value: object) -> None:
    """Puts the value at its place; a choice by name becomes an object first. Raises InputFault."""
    *path, last = name.split(".")
    inside = typed
    for part in path:
        given = inside.get(part)
        inside[part] = {} if given is None else {"name": given} if isinstance(given, str) else given
        if not isinstance(inside[part], dict):
            raise InputFault(f"{name} cannot be set: {part} is no object.")
        inside = inside[part]
    inside[last] = value


def _read(file: Path) -> object:
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
        return json.loads(text)
    except OSError as error:
        raise InputFault(f"{file} cannot be read ({error.strerror}).") from None
    except (ValueError, RecursionError) as error:
        raise InputFault(f"{file} is not JSON ({error}).") from None
