"""Commands about what a job did: its runs and its log."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from client.jobs import SHORT
from client.options import SERVER_DEFAULT, AsJson, JobId, Server, console, print_document
from client.sdk import Client
from client.tables import print_table
from client.terminal import say
from service.job_runs.schemas import JobRun, JobRunDetails, LogLine
from service.presentation.metric_words import MetricWords, words_of
from service.presentation.numbers import NOTHING, clock, duration, short

POLL_SECONDS = 1.0


def runs(job_id: JobId, server: Server = SERVER_DEFAULT, as_json: AsJson = False) -> None:
    """List every training of a job.

    For example: dpk runs 0f3c2a9d
    """
    with Client(server) as client:
        found = client.runs(client.full_id(job_id))
    if as_json:
        print_document(found)
        return
    titles = ("run", "purpose", "teacher", "seed", "epochs", "state", "score", "test", "time", "device")
    rows = [_cells(run, words_of(found.metric)) for run in found.runs]
    print_table(titles, rows, numbers=("seed", "epochs", "score", "test", "time"))


def logs(
    job_id: JobId,
    run: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="One of its runs, or the beginning of its id.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job is over.")] = False,
    server: Server = SERVER_DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Show what happened to a job, or in one of its runs.

    Of a job what happened, in words; of a run why it waits or failed, and what it measured in each epoch.

    For example: dpk logs 0f3c2a9d --follow
    """
    with Client(server) as client:
        job = client.full_id(job_id)
        if run is not None:
            found = client.run(job, client.full_run_id(job, run))
            print_document(found) if as_json else _print_run(found)
            return
        after, over = 0, False
        while not over:
            part = client.log(job, after=after)
            for line in part.lines:
                print_document(line, line=True) if as_json else _print_line(line)
            # A part that is not the last one of what is known by now is followed by the next at once.
            over, more, after = part.over or (not follow and not part.lines), bool(part.lines), part.next_after
            if follow and not over and not more:
                time.sleep(POLL_SECONDS)  # the interval between two polls


def _cells(run: JobRun, metric: MetricWords) -> list[str]:
    state = f"{run.state} (reused)" if run.reused else run.state
    if run.state == "running" and run.total_steps:
        state = f"running {100 * run.step / run.total_steps:.0f}%"
    return [
        run.id[:SHORT], run.purpose, short(run.teacher) if run.teacher else "no teacher", str(run.seed),
        str(run.epochs), state, metric.score(run.validation_score), metric.score(run.test_score), duration(run.seconds),
        run.device or NOTHING,
    ]  # fmt: skip


def _print_line(line: LogLine) -> None:
    say(console(), f"{clock(line.at)}  {line.text}")


def _print_run(run: JobRunDetails) -> None:
    out = console()
    who = "" if run.purpose == "teacher" else f" under {run.teacher}" if run.teacher else " without a teacher"
    say(out, f"{run.model}{who}, seed {run.seed}, to epoch {run.epochs}: {run.state}.")
    for sentence in filter(None, [run.failure, run.last_error, *run.waits, *run.notices]):
        say(out, sentence)
    names = sorted({name for point in run.points for name in point.values})
    if names:
        rows = [[str(point.epoch), *(_value(point.values.get(name)) for name in names)] for point in run.points]
        print_table(("epoch", *names), rows, numbers=("epoch", *names))


def _value(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.4g}"
