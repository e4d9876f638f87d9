"""Commands about jobs that there are: jobs, watch, leaderboard, request, cancel."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, get_args

import typer

from client.errors import InputFault, JobEnded
from client.options import SERVER_DEFAULT, AsJson, Explain, JobId, Server, TimeOut, complaints, console, print_document
from client.progress import follow
from client.sdk import Client
from client.tables import print_table
from client.terminal import print_leaderboard, say
from service.presentation.numbers import NOTHING, chance, clock, duration, points, short
from service.scheduling.states import JobState
from service.wire.jobs import Job, Sort

SHORT = 8
"""Digits of an id that a list shows; any beginning of an id that only one job has will do."""


def jobs(
    limit: Annotated[int, typer.Option(min=1, max=100, help="Jobs, at most.")] = 20,
    state: Annotated[
        str | None, typer.Option(help=f"Only jobs in this state: {', '.join(get_args(JobState))}.")
    ] = None,
    search: Annotated[str, typer.Option(metavar="WORDS", help="Words of name, tags, student, data or teachers.")] = "",
    tag: Annotated[str | None, typer.Option(help="Only jobs with this tag.")] = None,
    student: Annotated[str | None, typer.Option(metavar="MODEL", help="Only jobs about this student.")] = None,
    dataset: Annotated[str | None, typer.Option(metavar="NAME", help="Only jobs on this data set.")] = None,
    sort: Annotated[Sort, typer.Option(help="The order; the largest gain or cost first.")] = "newest",
    server: Server = SERVER_DEFAULT,
    as_json: AsJson = False,
) -> None:
    """List jobs, the newest first, with what each has come to.

    For example: dpk jobs --state running --tag nightly --sort gain
    """
    if state is not None and state not in get_args(JobState):
        raise InputFault(f"--state: {state!r} is none of {', '.join(get_args(JobState))}.")
    with Client(server) as client:
        found = client.jobs(
            limit=limit, state=state, search=search, tag=tag, student=student, dataset=dataset, sort=sort
        )
    if as_json:
        print_document(found)
        return
    if not found.jobs:
        asked = any((state, search, tag, student, dataset))
        say(console(), "There are no such jobs." if asked else "There are no jobs yet; `dpk submit` asks a question.")
        return
    rows = [
        [
            job.id[:SHORT], job.state, clock(job.created_at), short(job.request.student), job.request.dataset,
            NOTHING if job.leader is None else f"{short(job.leader)} {chance(job.chance)}",
            NOTHING if job.gain is None else points(job.gain, 1), duration(job.cost), _came_to(job),
        ]
        for job in found.jobs
    ]  # fmt: skip
    titles = ("id", "state", "asked", "student", "data", "leader", "gain", "cost", "came to")
    print_table(titles, rows, numbers=("gain", "cost"))


def _came_to(job: Job) -> str:
    """What people call the job, then the first sentence of its headline."""
    called = [*([] if job.name is None else [job.name]), *(f"#{tag}" for tag in job.tags)]
    said = job.headline.partition(". ")[0]
    return f"{' '.join(called)}: {said}" if called else said


def watch(job_id: JobId, timeout: TimeOut = None, server: Server = SERVER_DEFAULT, as_json: AsJson = False) -> None:
    """Follow a job until it is over.

    Ends with 1 when the job failed or was cancelled. A restart of the server does not end it.

    For example: dpk watch 0f3c2a9d --timeout 3600
    """
    with Client(server) as client:
        follow_to_the_end(client, client.full_id(job_id), timeout=timeout, as_json=as_json)


def follow_to_the_end(
    client: Client, job_id: str, *, timeout: float | None, as_json: bool, quiet: bool = False
) -> None:
    """Shows the job as it moves, or each document that differs as JSON. Raises JobEnded unless it finished."""

    def notice(sentence: str) -> None:
        say(complaints(), sentence)

    looks = _reporting_waits(client.watch(job_id, timeout=timeout, notice=notice), notice)
    if quiet or as_json:
        job = _last(looks, show=as_json)
    else:
        job = follow(console(), looks)
        if job.state == "finished":
            say(console(), job.verdict or "The job is finished.")
    raise_if_ended(job)


def leaderboard(
    job_id: JobId, server: Server = SERVER_DEFAULT, as_json: AsJson = False, explain: Explain = False
) -> None:
    """Show what is known about a job's teachers.

    For example: dpk leaderboard 0f3c2a9d --explain
    """
    with Client(server) as client:
        board = client.leaderboard(client.full_id(job_id))
        if as_json:
            print_document(board)
            return
        print_leaderboard(console(), board, explain=explain)
        say(console(), f"Page: {client.base_url}{board.job.links.page}", whole=True)


def request(job_id: JobId, server: Server = SERVER_DEFAULT) -> None:
    """Print the request that repeats a job.

    It is JSON, for `dpk submit --file`.

    For example: dpk request 0f3c2a9d > again.json
    """
    with Client(server) as client:
        print_document(client.request(client.full_id(job_id)))


def cancel(job_id: JobId, server: Server = SERVER_DEFAULT, as_json: AsJson = False) -> None:
    """Stop a job. What it has trained so far is kept for other jobs.

    For example: dpk cancel 0f3c2a9d
    """
    with Client(server) as client:
        job = client.cancel(client.full_id(job_id))
        if as_json:
            print_document(job)
        else:
            say(console(), job.headline)


def raise_if_ended(job: Job) -> None:
    """Raises JobEnded unless the job finished."""
    if job.state in ("failed", "cancelled"):
        raise JobEnded(job.headline)


def _reporting_waits(looks: Iterable[Job], notice: Callable[[str], None]) -> Iterator[Job]:
    """The same jobs; calls `notice` once when the job begins to wait for something that a person must mend."""
    reported: str | None = None
    for job in looks:
        if job.waiting_for and job.waiting_for != reported:
            notice(job.waiting_for)
        reported = job.waiting_for
        yield job


def _last(looks: Iterable[Job], *, show: bool) -> Job:
    shown: Job | None = None
    for job in looks:
        if show and job != shown:
            print_document(job, line=True)
        shown = job
    assert shown is not None, "watching gives at least one job"
    return shown
