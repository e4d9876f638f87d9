"""`python -m worker [--queues control,runs]`: one worker process. `--healthy`: whether one on this machine is well."""

from __future__ import annotations

import argparse
import logging
import socket
import sys
import warnings

from celery.platforms import SecurityWarning

from service.database.faults import FAULTS, sentence
from service.database.session import prompt_reading
from service.outbox.broker import QUEUES
from service.runs import repository
from service.settings import settings
from service.starting import checked_settings, one_thread_for_matrices, starting
from worker.app import create, runner_command, worker_id

SILENT_SWEEPS = 3


def main(arguments: list[str] | None = None) -> int:
    """Serves until asked to leave: TERM lets runs write a checkpoint and go on elsewhere."""
    parser = argparse.ArgumentParser(prog="python -m worker", description=__doc__)
    parser.add_argument("--queues", type=_queues, default=tuple(QUEUES.values()), help="control, runs or both")
    parser.add_argument("--healthy", action="store_true", help="exit 0 if a worker of this machine was heard of lately")
    chosen = parser.parse_args(arguments)
    with starting():
        checked_settings()
    one_thread_for_matrices()
    return _healthy() if chosen.healthy else _serve(chosen.queues)


def _serve(queues: tuple[str, ...]) -> int:
    _log_to_stderr()
    # It warns root of unpickling strangers' objects; our messages are JSON.
    warnings.simplefilter("ignore", SecurityWarning)
    app = create(settings(), queues, runner_command(settings()))
    name = f"{worker_id()}@dpk"
    quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat")
    app.worker_main(["--quiet", "worker", "--loglevel", "INFO", "-n", name, "-Q", ",".join(queues), *quiet])
    return 0


def _healthy() -> int:
    seconds = max(settings().lease_seconds, SILENT_SWEEPS * settings().sweep_seconds)
    try:
        with prompt_reading() as session:
            alive = repository.worker_seen(session, socket.gethostname(), within_seconds=seconds)
    except FAULTS as error:
        sys.stderr.write(f"{sentence(error)}\n")
        return 1
    if not alive:
        sys.stderr.write(f"No worker of this machine was heard of in the last {seconds:.0f} s.\n")
    return 0 if alive else 1


def _log_to_stderr() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    # Messages are mere wake-ups; what they lead to is logged where it happens.
    for noisy in ("celery.worker.strategy", "celery.app.trace"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _queues(text: str) -> tuple[str, ...]:
    chosen = tuple(dict.fromkeys(text.split(",")))
    if unknown := [name for name in chosen if name not in QUEUES.values()]:
        raise argparse.ArgumentTypeError(f"no queue is called {unknown[0]!r}; choose from {', '.join(QUEUES.values())}")
    return chosen


if __name__ == "__main__":
    sys.exit(main())
