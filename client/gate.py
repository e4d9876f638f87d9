"""`dpk gate`: a pipeline passes where the best teacher is still the expected one, and fails where that is not known."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated
from xml.etree import ElementTree

import typer
from pydantic import BaseModel

from client.errors import NothingFound
from client.exit_codes import ExitCode
from client.gate_checks import Check, Demands, checks, exit_code
from client.options import SERVER_DEFAULT, AsJson, Server, console, print_document
from client.sdk import Client
from client.terminal import say
from service.best_teacher.schemas import BestTeacher

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
    student: Annotated[str, typer.Option(help="The student, as family/name, with @weights if it has any.")],
    dataset: Annotated[str, typer.Option(help="The data set.")],
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
    method: Annotated[str | None, typer.Option(help="dpk, kd or another method.")] = None,
    stamp: Annotated[str | None, typer.Option(help="Only jobs with this protocol stamp.")] = None,
    summary: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Add a summary in Markdown to this file, as $GITHUB_STEP_SUMMARY."),
    ] = None,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the checks as JUnit XML.")] = None,
    server: Server = SERVER_DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Pass a pipeline only where the best teacher is known and the expected one.

    For example: dpk gate --student cifar/resnet8w4 --dataset digits --expect cifar/resnet8x4 --max-age 30d
    """
    demands = Demands(
        expect=expect, min_chance=min_chance, max_loss=max_loss, max_age=_seconds(max_age), allow_tie=allow_tie
    )
    with Client(server) as client:
        best, found = _asked(client, demands, student, dataset, method, stamp)
        page = None if best is None else f"{client.base_url}{best.page}"
    code, title = exit_code(found), f"{student} on {dataset}"
    if summary is not None:
        with summary.open("a", encoding="utf-8") as file:
            file.write(markdown(title, code, found, page))
    if junit is not None:
        junit.write_text(junit_xml(title, found), encoding="utf-8")
    if as_json:
        reports = [CheckReport(name=each.name, passed=each.passed, message=each.message) for each in found]
        print_document(
            GateReport(
                passed=code == ExitCode.FINE,
                exit_code=code,
                meaning=code.meaning,
                checks=reports,
                page=page,
                answer=best,
            )
        )
    else:
        say(console(), f"{'Passed' if code == ExitCode.FINE else 'Failed'}: {title}.")
        for each in found:
            say(console(), f"{'passed' if each.passed else 'FAILED'}  {each.name}: {each.message}")
        if page is not None:
            say(console(), f"Page: {page}", whole=True)
    raise typer.Exit(code)


def _asked(
    client: Client, demands: Demands, student: str, dataset: str, method: str | None, stamp: str | None
) -> tuple[BestTeacher | None, list[Check]]:
    try:
        best = client.best_teacher(student, dataset, method=method, stamp=stamp)
    except NothingFound as error:
        code = ExitCode.RUNNING if error.problem.type.endswith(":running") else ExitCode.NOTHING_FOUND
        return None, [Check(name="answer", passed=False, message=str(error), code=code)]
    return best, checks(best, demands)


def _seconds(age: str | None) -> float | None:
    if age is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([dhms])", age)
    if match is None:
        raise typer.BadParameter(f"{age!r} is no age; write 30d, 12h, 45m or 90s.", param_hint="--max-age")
    return float(match[1]) * _UNITS[match[2]]


def markdown(title: str, code: ExitCode, found: Sequence[Check], page: str | None) -> str:
    """The summary of a pipeline's step."""
    rows = [f"| {each.name} | {'passed' if each.passed else '**failed**'} | {each.message} |" for each in found]
    link = [] if page is None else ["", f"[Leaderboard]({page})"]
    state = "passed" if code == ExitCode.FINE else f"failed (exit code {code:d}: {code.meaning.rstrip('.')})"
    return "\n".join([f"## Teacher gate {state}", "", title, "", "| check | | |", "|---|---|---|", *rows, *link, ""])


def junit_xml(title: str, found: Sequence[Check]) -> str:
    """A test case for each check."""
    failures = sum(not each.passed for each in found)
    suite = ElementTree.Element("testsuite", name="dpk gate", tests=str(len(found)), failures=str(failures))
    for each in found:
        case = ElementTree.SubElement(suite, "testcase", classname=title, name=each.name)
        if each.passed:
            ElementTree.SubElement(case, "system-out").text = each.message
        else:
            ElementTree.SubElement(case, "failure", message=each.message)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"
