"""`dpk gate`: a pipeline passes where the best teacher is still the expected one, and fails where that is not known."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel

from client import gate_start
from client.completing import one_of
from client.exit_codes import ExitCode
from client.gate_checks import Check, Demands, exit_code
from client.gate_reports import junit_xml, markdown
from client.gate_start import question
from client.options import SERVER_DEFAULT, AsJson, Server, TimeOut, complaints, console, print_document
from client.request_help import ASKED_METHOD, METHODS, TEACHER
from client.sdk import Client
from client.terminal import say
from service.best_teacher.schemas import BestTeacher
from service.wire.boards import Leaderboard

_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


class CheckReport(BaseModel):
    """A check as `--json` prints it."""

    name: str
    passed: bool
    message: str


class GateReport(BaseModel):
    """What `--json` prints. `answer` is None where nothing was found."""

    passed: bool
    exit_code: int
    meaning: str
    checks: list[CheckReport]
    page: str | None
    answer: BestTeacher | None


def gate(
    student: Annotated[
        str | None, typer.Option(metavar="MODEL", help="The student, as family/name, with @weights if it has any.")
    ] = None,
    dataset: Annotated[str | None, typer.Option(metavar="NAME", help="The data set.")] = None,
    expect: Annotated[
        str | None, typer.Option(help="The teacher that is in use, or none; default: any single teacher will do.")
    ] = None,
    min_chance: Annotated[
        float | None, typer.Option(min=0, max=1, help="Chance that no teacher is better, at least.")
    ] = None,
    max_loss: Annotated[
        float | None, typer.Option(min=0, max=1, help="Expected loss of score, at most: .003 are .3 points.")
    ] = None,
    max_age: Annotated[
        str | None, typer.Option(metavar="AGE", help="Age of the answer, at most, as 30d or 12h.")
    ] = None,
    allow_tie: Annotated[bool, typer.Option("--allow-tie", help="A teacher tied with the best one will do.")] = False,
    method: Annotated[str | None, typer.Option(help=ASKED_METHOD, autocompletion=one_of(METHODS))] = None,
    stamp: Annotated[str | None, typer.Option(help="Only jobs with this protocol stamp.")] = None,
    start: Annotated[
        bool, typer.Option("--start", help="Start a job where the answer is missing, stale, too old or undecided.")
    ] = False,
    teacher: Annotated[list[str] | None, typer.Option(metavar="MODEL", help=f"With --start: {TEACHER}")] = None,
    request: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With --start: the whole request, as `dpk request` prints it.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="With --start: follow the job, then decide.")] = False,
    timeout: TimeOut = None,
    summary: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Add a summary in Markdown to this file, as $GITHUB_STEP_SUMMARY."),
    ] = None,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the checks as JUnit XML.")] = None,
    server: Server = SERVER_DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Pass a pipeline only where the best teacher is known and the expected one.

    With --start --wait it is what a nightly job needs: it asks, trains what is missing, and decides.

    For example: dpk gate --student cifar/resnet8w4 --dataset digits --expect cifar/resnet8x4 --max-age 30d
    """
    demands = Demands(
        expect=expect, min_chance=min_chance, max_loss=max_loss, max_age=_seconds(max_age), allow_tie=allow_tie
    )
    asked = question(
        student=student, dataset=dataset, method=method, stamp=stamp, teachers=teacher, file=request, start=start,
        wait=wait, timeout=timeout,
    )  # fmt: skip
    with Client(server) as client:
        best, found = gate_start.found(client, asked, demands, lambda sentence: say(complaints(), sentence))
        page = None if best is None else f"{client.base_url}{best.page}"
        board = None if best is None or summary is None else client.leaderboard(best.job)
    code, title = exit_code(found), f"{asked.student} on {asked.dataset}"
    _write(title, code, found, page, summary=summary, board=board, junit=junit)
    _say(title, _report(code, found, page, best), as_json=as_json)
    raise typer.Exit(code)


def _report(code: ExitCode, found: Sequence[Check], page: str | None, best: BestTeacher | None) -> GateReport:
    return GateReport(
        passed=code == ExitCode.FINE, exit_code=code, meaning=code.meaning, page=page, answer=best,
        checks=[CheckReport(name=each.name, passed=each.passed, message=each.message) for each in found],
    )  # fmt: skip


def _write(
    title: str, code: ExitCode, found: Sequence[Check], page: str | None, *, summary: Path | None,
    board: Leaderboard | None, junit: Path | None,
) -> None:  # fmt: skip
    if summary is not None:
        with summary.open("a", encoding="utf-8") as file:
            file.write(markdown(title, code, found, page, board))
    if junit is not None:
        junit.write_text(junit_xml(title, found), encoding="utf-8")


def _say(title: str, report: GateReport, *, as_json: bool) -> None:
    if as_json:
        print_document(report)
        return
    say(console(), f"{'Passed' if report.passed else 'Failed'}: {title}.")
    for each in report.checks:
        say(console(), f"{'passed' if each.passed else 'FAILED'}  {each.name}: {each.message}")
    if report.page is not None:
        say(console(), f"Page: {report.page}", whole=True)


def _seconds(age: str | None) -> float | None:
    if age is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([dhms])", age)
    if match is None:
        raise typer.BadParameter(f"{age!r} is no age; write 30d, 12h, 45m or 90s.", param_hint="--max-age")
    return float(match[1]) * _UNITS[match[2]]
