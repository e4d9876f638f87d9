"""`dpk dataset`: the data sets of the server, and what is known of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from client.exit_codes import ExitCode
from client.options import SERVER_DEFAULT, AsJson, Server, console, print_document
from client.sdk import Client
from client.terminal import say
from service.datasets.schemas import BoxDataset, Boxes, ClassPictures, Dataset
from service.presentation.box_dataset_words import box_facts, box_headline
from service.presentation.dataset_words import LEVELS, facts, headline, shown_classes

app = typer.Typer(name="dataset", no_args_is_help=True, help="The data sets of the server.", rich_markup_mode=None)


def datasets(server: Server = SERVER_DEFAULT, as_json: AsJson = False) -> None:
    """List the data sets that jobs can ask for.

    Also what else lies under the data root, and why it is no data set.

    For example: dpk datasets
    """
    with Client(server) as client:
        found = client.datasets()
    if as_json:
        print_document(found)
        return
    for each in found.datasets:
        say(console(), each.name, whole=True)
    for other in found.unused:
        say(console(), f"No data set: {other.name} {other.reason}.")


@app.command()
def check(
    name: Annotated[str, typer.Argument(help="The data set, as a job names it.")],
    server: Server = SERVER_DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Show what a data set holds, what is left out of it, and what that means for those who train on it.

    Ends with 2 where no job can train on it.

    For example: dpk dataset check digits
    """
    with Client(server) as client:
        found = client.dataset(name)
        if as_json:
            print_document(found)
        else:
            _print(console(), found)
            say(console(), f"Page: {client.base_url}{found.links.page}", whole=True)
    if found.refused:
        raise typer.Exit(ExitCode.WRONG_USE)


def _print(out: Console, found: Dataset | BoxDataset) -> None:
    title = box_headline(found) if isinstance(found, BoxDataset) else headline(found)
    out.print(Text(title, style="bold"), soft_wrap=not out.is_terminal)
    for finding in found.findings:
        sentence = Text(f"{LEVELS[finding.level]}: {finding.message}", style="" if finding.level == "info" else "red")
        out.print(sentence, soft_wrap=not out.is_terminal)
    out.print()
    is_boxes = isinstance(found, BoxDataset)
    classes: Sequence[ClassPictures | Boxes] = found.classes
    shown, hidden = shown_classes(classes)
    out.print(_counts("boxes of class" if is_boxes else "class", shown))
    if hidden:
        say(out, f"The largest and the smallest classes; {hidden} between them are in --json.")
    out.print()
    if isinstance(found, BoxDataset):
        out.print(_counts("boxes of size", found.sizes))
        out.print()
    for name, value in box_facts(found) if isinstance(found, BoxDataset) else facts(found):
        say(out, f"{name}: {value}")


def _counts(what: str, shown: Sequence[ClassPictures | Boxes]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(what, overflow="fold")
    for split in ("train", "validation", "test"):
        table.add_column(split, justify="right", no_wrap=True)
    for each in shown:
        table.add_row(Text(each.name), str(each.train), str(each.validation), str(each.test))
    return table
