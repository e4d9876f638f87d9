"""Commands that run a server: serve, worker, migrate; and what `demo` shares with `serve`."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from client.errors import ClientError
from client.exit_codes import ExitCode
from client.extras import need
from client.options import HOME_DEFAULT, Home, complaints, console
from client.processes import API, CONTROL, RUNS, Part, Supervisor, claim_port, migrate
from client.sdk import Client
from client.terminal import say

READY_SECONDS = 120.0


class Queues(StrEnum):
    """What a worker takes on."""

    RUNS = "runs"
    CONTROL = "control"


def serve(
    host: Annotated[str, typer.Option(envvar="DPK_HOST", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(envvar="DPK_PORT", min=0, max=65535, help="Port to listen on; 0: any free one.")
    ] = 8000,
    home: Home = HOME_DEFAULT,
    no_worker: Annotated[bool, typer.Option("--no-worker", help="API and pages only.")] = False,
) -> None:
    """Run API, pages and workers until Ctrl-C.

    Needs no other server: database and queue are files under --home, unless DPK_DATABASE_URL and DPK_BROKER_URL say
    otherwise.

    For example: dpk serve --port 8000
    """
    need("dpk serve", "server")
    if not no_worker:
        need("dpk serve without --no-worker", "runner")
    environment = environment_for(home, host, claim_port(host, port))
    parts = [API] if no_worker else [API, CONTROL, RUNS]
    migrate(environment, quiet=True)
    with stopping_on_term(), up(parts, environment) as (supervisor, client):
        say(console(), f"DPK Select is up at {client.base_url} (Ctrl-C ends it).")
        while True:
            time.sleep(1)
            supervisor.tend()


def worker(
    queues: Annotated[Queues, typer.Option(help="What to take on.")] = Queues.RUNS,
    home: Home = HOME_DEFAULT,
) -> None:
    """Run one worker process, until Ctrl-C.

    For more machines or more GPUs on the same store.

    For example: dpk worker --queues control
    """
    need("dpk worker", "server" if queues is Queues.CONTROL else "runner")
    _become("worker", "--queues", queues.value, home=home)


def migrate_command(home: Home = HOME_DEFAULT) -> None:
    """Bring the database to the newest schema.

    For example: dpk migrate
    """
    need("dpk migrate", "server")
    _become("migrations", "upgrade", home=home)


def environment_for(home: Path, host: str, port: int) -> dict[str, str]:
    """The settings that every process of one server shares."""
    return {"DPK_HOME": str(home.absolute()), "DPK_HOST": host, "DPK_PORT": str(port)}


@contextmanager
def up(
    parts: list[Part], environment: dict[str, str], *, log_folder: Path | None = None, patience: int | None = None
) -> Iterator[tuple[Supervisor, Client]]:
    """Runs the parts and waits until the API is ready; ends all of them on the way out.

    Raises ClientError when it does not get ready, or when a part died more than `patience` times.
    """
    host = environment["DPK_HOST"]
    reachable = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104 - compared
    address = f"http://{reachable}:{environment['DPK_PORT']}"
    tell = complaints()
    supervisor = Supervisor(
        parts, environment, log_folder=log_folder, patience=patience, notice=lambda sentence: say(tell, sentence)
    )
    with supervisor, Client(address, proxies=False) as client:
        deadline = time.monotonic() + READY_SECONDS
        while not client.is_ready():
            if time.monotonic() > deadline:
                raise ClientError(f"The server at {address} did not get ready within {READY_SECONDS:.0f} seconds.")
            time.sleep(0.2)
            supervisor.tend()
        yield supervisor, client


@contextmanager
def stopping_on_term() -> Iterator[None]:
    """Turns SIGTERM into an ordinary exit with 143, so that everything that was started is ended."""

    def leave(_number: int, _frame: object) -> NoReturn:
        raise SystemExit(ExitCode.TERMINATED)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _become(module: str, *arguments: str, home: Path) -> NoReturn:
    environment = {**os.environ, "DPK_HOME": str(home.absolute())}
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, "-m", module, *arguments], environment)  # noqa: S606 - our own module
