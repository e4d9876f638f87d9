"""Shows a job as it moves: bars on a terminal, a line per change elsewhere (a pipe, a CI log)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from client.terminal import say
from service.presentation.numbers import duration
from service.scheduling.states import JobState
from service.wire.jobs import Job, StageProgress, StageState

LEAST_SECONDS = 5.0
"""Between two plain lines about the same stage."""

_SAID: dict[JobState, str] = {
    "queued": "The job is queued: it waits for a worker to begin.",
    "paused": "The job is paused; `dpk resume` lets it go on.",
    "finished": "The job is finished.",
    "failed": "The job failed.",
    "cancelling": "The job is being cancelled.",
    "cancelled": "The job was cancelled.",
}
"""Of a job that is not running; why it failed is said by whoever watched."""

_STYLES: dict[StageState, str] = {"waiting": "dim", "not_reached": "dim", "failed": "red"}
_COLOURS: dict[StageState, str] = {"failed": "red", "stopped": "dim"}
"""Of a stage's line and of its bar."""


def follow(console: Console, jobs: Iterable[Job], *, tend: Callable[[], None] | None = None) -> Job:
    """Shows `jobs`, the same job again and again, and returns the last one. `tend` is called at each."""
    shown = _bars(console, jobs, tend) if console.is_terminal else _lines(console, jobs, tend)
    assert shown is not None, "watching gives at least one job"
    return shown


def _bars(console: Console, jobs: Iterable[Job], tend: Callable[[], None] | None) -> Job | None:
    job = None
    with Live(console=console, auto_refresh=False) as live:
        for job in jobs:
            live.update(_picture(job), refresh=True)
            if tend is not None:
                tend()
    return job


def _picture(job: Job) -> Group:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_row(Text("Pre-flight"), ProgressBar(total=1, completed=1, width=28), Text("passed"))
    for stage in job.progress:
        done = 1.0 if stage.state == "done" else stage.done / max(stage.total, 1)
        bar = ProgressBar(total=1, completed=done, width=28, complete_style=_COLOURS.get(stage.state, "bar.complete"))
        table.add_row(Text(stage.title), bar, Text(_count(stage)), style=_STYLES.get(stage.state))
    return Group(table, Text(_remaining(job) if job.state == "running" else _SAID[job.state]))


def _lines(console: Console, jobs: Iterable[Job], tend: Callable[[], None] | None) -> Job | None:
    job, said, stage_said, when = None, "", "", 0.0
    for job in jobs:
        stage, line = _line(job)
        due = stage != stage_said or time.monotonic() - when >= LEAST_SECONDS
        if line and line != said and due:
            say(console, line)
            said, stage_said, when = line, stage, time.monotonic()
        if tend is not None:
            tend()
    return job


def _line(job: Job) -> tuple[str, str]:
    """What the line is about, and the line; empty between two stages."""
    current = next((stage for stage in job.progress if stage.state == "running"), None)
    if job.state != "running":
        return job.state, _SAID[job.state]
    if current is None:
        return "", ""
    remaining = _remaining(job)
    return current.stage, f"{current.title}: {_count(current)}" + (f", {remaining}" if remaining else "")


def _count(stage: StageProgress) -> str:
    if stage.state == "running":
        return f"{100 * stage.done / max(stage.total, 1):.0f}%"
    return "" if stage.state == "waiting" else stage.state.replace("_", " ")


def _remaining(job: Job) -> str:
    return "" if job.remaining_seconds is None else f"about {duration(job.remaining_seconds)} left"
