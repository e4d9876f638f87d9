"""`dpk compare`: two jobs side by side."""

from __future__ import annotations

from typing import Annotated

import typer
from pydantic import BaseModel

from client.jobs import SHORT
from client.options import SERVER_DEFAULT, AsJson, Server, console, print_document
from client.sdk import Client
from client.tables import print_table
from client.terminal import say
from service.presentation.metric_words import words_of
from service.presentation.numbers import NOTHING, chance, points
from service.presentation.words import board_headline
from service.wire.boards import Leaderboard, Row

Job = Annotated[str, typer.Argument(metavar="ID", help="A job, or the beginning of its id.")]


class ComparedRow(BaseModel):
    """A teacher (None: no teacher) in both jobs; scores and chances are fractions, None where there is none."""

    teacher: str | None
    first_accuracy: float | None
    second_accuracy: float | None
    difference: float | None
    first_chance: float | None
    second_chance: float | None


class Comparison(BaseModel):
    """What `--json` prints. `same_protocol`: whether the numbers may be compared at all. `asked`: what the requests
    differ in, each field with both values."""

    first: str
    second: str
    same_protocol: bool
    asked: dict[str, tuple[object, object]]
    verdicts: tuple[str | None, str | None]
    rows: list[ComparedRow]


def compare(first: Job, second: Job, server: Server = SERVER_DEFAULT, as_json: AsJson = False) -> None:
    """Show two jobs side by side.

    What they were asked, what they answered, and each teacher's student in both.

    For example: dpk compare 0f3c2a9d 8a6d0e2b
    """
    with Client(server) as client:
        boards = [client.leaderboard(client.full_id(job)) for job in (first, second)]
    found = comparison(*boards)
    if as_json:
        print_document(found)
        return
    out, names = console(), [board.job.id[:SHORT] for board in boards]
    for name, board in zip(names, boards, strict=True):
        say(out, f"{name}: {board_headline(board)}")
    for field, (one, other) in found.asked.items():
        say(out, f"{field}: {one} in {names[0]}, {other} in {names[1]}.")
    if not found.same_protocol:
        say(out, "The jobs differ in protocol (data, recipe, method or budget), so their numbers are not comparable.")
    titles = ("teacher", *names, "difference", f"best {names[0]}", f"best {names[1]}")
    metrics = [words_of(board.metric) for board in boards]
    rows = [
        [
            row.teacher or "no teacher", metrics[0].score(row.first_accuracy), metrics[1].score(row.second_accuracy),
            NOTHING if row.difference is None else points(row.difference), chance(row.first_chance),
            chance(row.second_chance),
        ]
        for row in found.rows
    ]  # fmt: skip
    print_table(titles, rows, numbers=titles[1:])


def comparison(first: Leaderboard, second: Leaderboard) -> Comparison:
    """Every teacher of either job, those of the first one first."""
    one, other = ({row.teacher: row for row in board.rows} for board in (first, second))
    asked = [board.job.request.model_dump(mode="json") for board in (first, second)]
    fields = [*asked[0]["budget"], *asked[0]]
    flat = [{**each, **{f"budget.{name}": value for name, value in each["budget"].items()}} for each in asked]
    names = [f"budget.{name}" if name in asked[0]["budget"] else name for name in fields if name != "budget"]
    return Comparison(
        first=first.job.id, second=second.job.id, same_protocol=_stamps(first) == _stamps(second),
        asked={name: (flat[0][name], flat[1][name]) for name in names if flat[0][name] != flat[1][name]},
        verdicts=(first.job.verdict, second.job.verdict),
        rows=[_row(teacher, one.get(teacher), other.get(teacher)) for teacher in dict.fromkeys([*one, *other])],
    )  # fmt: skip


def _stamps(board: Leaderboard) -> set[str]:
    return {row.stamp for row in board.rows if row.teacher is None}


def _row(teacher: str | None, one: Row | None, other: Row | None) -> ComparedRow:
    first, second = accuracy(one), accuracy(other)
    return ComparedRow(
        teacher=teacher, first_accuracy=first, second_accuracy=second,
        difference=None if first is None or second is None else second - first,
        first_chance=one and one.chance, second_chance=other and other.chance,
    )  # fmt: skip


def accuracy(row: Row | None) -> float | None:
    """Of the full trainings; where there is none, what is expected of them."""
    if row is None:
        return None
    if row.full is not None:
        return row.full.mean
    return None if row.expected is None else row.expected.value
