"""Options that several commands share, and where their output goes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from pydantic import BaseModel
from rich.console import Console

from client.address import DEFAULT_SERVER
from client.completing import job_ids
from client.errors import InputFault, PipeClosed

Server = Annotated[str, typer.Option("--server", envvar="DPK_SERVER", help="Address of the server, or host:port.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text for people.")]
JobId = Annotated[
    str,
    typer.Argument(
        metavar="ID", help="The job, as `dpk submit` printed it, or the beginning of its id.", autocompletion=job_ids
    ),
]
Home = Annotated[Path, typer.Option("--home", envvar="DPK_HOME", help="Where the embedded store lives.")]
TimeOut = Annotated[
    float | None,
    typer.Option("--timeout", min=0, metavar="SECONDS", help="Stop following after this time, with exit code 8."),
]

SERVER_DEFAULT = DEFAULT_SERVER
HOME_DEFAULT = Path(".dpk")


class _Output(Console):
    """Leaves it to `client.command.main` to end when whoever reads the output has stopped reading."""

    def on_broken_pipe(self) -> NoReturn:
        """Rich would end with 1, which means that a job failed."""
        raise PipeClosed


def console() -> Console:
    """Standard output as it is now; colours only where they are wanted (NO_COLOR, pipes)."""
    return _Output(file=sys.stdout, highlight=False)


def complaints() -> Console:
    """Standard error."""
    return _Output(file=sys.stderr, highlight=False)


def print_document(document: BaseModel, *, line: bool = False) -> None:
    """A wire document as JSON on standard output; `line`: on one line, for streams of documents."""
    write(document.model_dump_json(indent=None if line else 2) + "\n")


def read_setting(text: str, form: str = "NAME=VALUE") -> tuple[str, object]:
    """Name and value of `--set`: the value is JSON, or else a word. Raises InputFault, which names the `form`."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise InputFault(f"--set takes {form}, not {text!r}.")
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError):
        return name, value


def write(text: str) -> None:
    """Writes `text` to standard output at once, as it is."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise PipeClosed from None


Explain = Annotated[bool, typer.Option("--explain", help="Also who trained and why, correlations and cheaper rules.")]
