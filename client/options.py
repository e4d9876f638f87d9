"""Options that several commands share, and where their output goes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel
from rich.console import Console

from client.sdk import DEFAULT_SERVER

Server = Annotated[str, typer.Option("--server", envvar="DPK_SERVER", help="Address of the server.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text for people.")]
JobId = Annotated[str, typer.Argument(metavar="ID", help="The job, as `dpk submit` printed it.")]
Home = Annotated[Path, typer.Option("--home", envvar="DPK_HOME", help="Where the embedded store lives.")]

SERVER_DEFAULT = DEFAULT_SERVER
HOME_DEFAULT = Path(".dpk")


def console() -> Console:
    """Standard output as it is now; colours only where they are wanted (NO_COLOR, pipes)."""
    return Console(file=sys.stdout, highlight=False)


def complaints() -> Console:
    """Standard error."""
    return Console(file=sys.stderr, highlight=False)


def print_document(document: BaseModel, *, line: bool = False) -> None:
    """A wire document as JSON on standard output; `line`: on one line, for streams of documents."""
    sys.stdout.write(document.model_dump_json(indent=None if line else 2) + "\n")
    sys.stdout.flush()
