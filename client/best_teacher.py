"""`dpk best-teacher`: what the finished jobs know already, and an exit code that a script can act on."""

from __future__ import annotations

from typing import Annotated

import typer

from client.completing import one_of
from client.errors import NothingFound
from client.exit_codes import ExitCode
from client.options import SERVER_DEFAULT, AsJson, Server, complaints, console, print_document
from client.request_help import ASKED_METHOD, METHODS
from client.sdk import Client
from client.terminal import say
from dpk_core.selection.decide.facts import VerdictKind
from service.best_teacher.schemas import BestTeacher
from service.presentation.best_teacher_words import sentences

_BY_VERDICT: dict[VerdictKind, ExitCode] = {
    "best": ExitCode.FINE,
    "tie": ExitCode.TIE,
    "no_teacher": ExitCode.NO_TEACHER,
    "undecided": ExitCode.UNDECIDED,
}


def best_teacher(
    student: Annotated[str, typer.Option(help="The student, as family/name, with @weights if it has any.")],
    dataset: Annotated[str, typer.Option(help="The data set.")],
    method: Annotated[str | None, typer.Option(help=ASKED_METHOD, autocompletion=one_of(METHODS))] = None,
    stamp: Annotated[str | None, typer.Option(help="Only jobs with this protocol stamp.")] = None,
    server: Server = SERVER_DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Look up the best-founded answer of the finished jobs. The exit code says what kind of answer it is.

    For example: dpk best-teacher --student cifar/resnet8w4 --dataset digits --json
    """
    with Client(server) as client:
        try:
            best = client.best_teacher(student, dataset, method=method, stamp=stamp)
        except NothingFound as error:
            if not error.problem.type.endswith(":running"):
                raise
            say(complaints(), str(error))
            raise typer.Exit(ExitCode.RUNNING) from None
        if as_json:
            print_document(best)
        else:
            for sentence in sentences(best):
                say(console(), sentence)
            say(console(), f"Page: {client.base_url}{best.page}", whole=True)
    raise typer.Exit(exit_code(best))


def exit_code(best: BestTeacher) -> ExitCode:
    """What the answer comes to: a stale or undecided one waits for a job that is under way."""
    if (best.stale or best.verdict == "undecided") and best.running is not None:
        return ExitCode.RUNNING
    return ExitCode.NOTHING_FOUND if best.stale else _BY_VERDICT[best.verdict]
