"""`dpk imported`: results that were obtained elsewhere."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from client.errors import InputFault
from client.options import SERVER_DEFAULT, AsJson, Server, console, print_document, read_setting
from client.sdk import Client
from client.tables import print_table
from client.terminal import say
from service.imported_results.schemas import ImportedScore, ImportRequest
from service.presentation.numbers import NOTHING, points
from service.presentation.words import spread

app = typer.Typer(
    name="imported", no_args_is_help=True, rich_markup_mode=None, help="Results that were obtained elsewhere."
)
Student = Annotated[str, typer.Option(metavar="MODEL", help="The student, as family/name[@weights].")]
Dataset = Annotated[str, typer.Option(metavar="NAME", help="The data set.")]
COLUMNS = tuple(ImportedScore.model_fields)


@app.command()
def add(
    file: Annotated[
        Path,
        typer.Argument(exists=True, dir_okay=False, help=f"A table (.csv) with the columns {', '.join(COLUMNS)}."),
    ],
    student: Student,
    dataset: Dataset,
    method: Annotated[str, typer.Option(help="How the students learnt; also a method that is not among ours.")],
    source: Annotated[str, typer.Option(help="Who measured it and where.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="What the trainings depend on.")
    ] = None,
    server: Server = SERVER_DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Import results from a table.

    They become rows of a protocol of their own, made of source and settings, and are never ranked with others.

    For example: dpk imported add runs.csv --student cifar/resnet8w4 --dataset digits --method kd --source "our cluster"
    """
    given = dict(map(read_setting, settings or []))
    request = {"student": student, "dataset": dataset, "method": method, "source": source, "settings": given}
    try:
        asked = ImportRequest.model_validate({**request, "results": _read(file)})
    except ValidationError as error:
        raise InputFault.of(error) from None
    with Client(server) as client:
        done = client.import_results(asked)
    if as_json:
        print_document(done)
        return
    say(console(), f"{done.added} results under protocol {done.stamp}; {done.known} were there already.")


@app.command("list")
def list_imported(student: Student, dataset: Dataset, server: Server = SERVER_DEFAULT, as_json: AsJson = False) -> None:
    """List the results from elsewhere about a student.

    For example: dpk imported list --student cifar/resnet8w4 --dataset digits
    """
    with Client(server) as client:
        found = client.imported_results(student, dataset)
    if as_json:
        print_document(found)
        return
    rows = [
        [
            row.stamp, row.method, row.teacher or "no teacher", str(row.epochs or NOTHING), str(row.seeds),
            spread(row.validation), spread(row.test), NOTHING if row.gain is None else points(row.gain), row.source,
        ]
        for row in found.rows
    ]  # fmt: skip
    titles = ("protocol", "method", "teacher", "epochs", "seeds", "validation", "test", "gain", "source")
    print_table(titles, rows, numbers=("epochs", "seeds", "validation", "test", "gain"))


@app.command()
def remove(
    stamp: Annotated[str, typer.Argument(metavar="PROTOCOL", help="As `dpk imported list` shows it.")],
    server: Server = SERVER_DEFAULT,
) -> None:
    """Forget a protocol's results.

    For example: dpk imported remove 1c2d3e4f
    """
    with Client(server) as client:
        client.remove_imported_results(stamp)
    say(console(), f"The results under protocol {stamp} are removed.")


def _read(file: Path) -> list[dict[str, Any]]:
    """A dict for each row; cells that are empty say nothing. Raises InputFault."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as opened:
            found = csv.DictReader(opened)
            unknown = [name for name in found.fieldnames or () if name not in COLUMNS]
            if unknown or not found.fieldnames:
                raise InputFault(f"{file}: the columns are {', '.join(COLUMNS)}, not {', '.join(unknown) or 'none'}.")
            return [{name: cell for name, cell in row.items() if name and cell} for row in found]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputFault(f"{file} is no table in CSV ({error}).") from None
