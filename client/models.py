"""Commands about models: the catalogue, and networks of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from client.options import SERVER_DEFAULT, AsJson, Server, complaints, console, print_document
from client.sdk import Client
from client.tables import print_table
from client.terminal import say
from service.models.schemas import ModelView, Source
from service.presentation.numbers import NOTHING

model = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Networks of your own.")


def models(
    search: Annotated[str, typer.Argument(metavar="WORDS", help="Words that the name has.")] = "",
    source: Annotated[Source | None, typer.Option(help="One family; own: uploads.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="Show at most so many.")] = 50,
    server: Server = SERVER_DEFAULT,
    as_json: AsJson = False,
) -> None:
    """List the models that may be students and teachers.

    For example: dpk models resnet --source cifar
    """
    with Client(server) as client:
        found = client.models(search=search, source=source, limit=limit)
    if as_json:
        print_document(found)
        return
    rows = [[each.name, _parameters(each), _maps(each), _pictures(each)] for each in found.models]
    print_table(("model", "parameters", "strides of maps", "pictures"), rows, numbers=("parameters",))
    if found.next_after is not None:
        more = f"{len(found.models)} of {found.count} models; name more words to see fewer, or take --limit."
        say(complaints(), more)


@model.command("add")
def add(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="A torch.export program (.pt2), or a CNN as ONNX.")
    ],
    name: Annotated[str, typer.Option(help="What to call it: lower-case letters, digits, _ and -.")],
    server: Server = SERVER_DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Upload an exported network; docs/own-models.md says how to export one.

    For example: dpk model add student.pt2 --name student
    """
    with Client(server) as client:
        added = client.add_model(file, name)
    if as_json:
        print_document(added)
        return
    say(
        console(), f"{added.name}: {_parameters(added)} parameters, maps at strides {_maps(added)}, {_pictures(added)}."
    )
    for note in added.notes:
        say(console(), note)
    say(console(), f"Take it as student or teacher: {added.name} draws its weights anew, {added.name}@own keeps them.")


def _parameters(found: ModelView) -> str:
    return NOTHING if found.parameters is None else f"{found.parameters:,}"


def _maps(found: ModelView) -> str:
    return " ".join(str(tap.stride) for tap in found.taps) or f"none: {found.obstacle}"


def _pictures(found: ModelView) -> str:
    sizes = found.pictures
    text = f"{sizes.only}x{sizes.only}" if sizes.only else f"from {sizes.least}x{sizes.least}"
    if sizes.step > 1 and not sizes.only:
        text += f" in steps of {sizes.step}"
    return text + (f", {found.channels} channel{'s' if found.channels > 1 else ''}" if found.channels else "")
