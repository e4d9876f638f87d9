"""Commands that list what a request may name: methods and recipes."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from client.options import SERVER_DEFAULT, AsJson, Server, console, print_document
from client.sdk import Client


def methods(server: Server = SERVER_DEFAULT, as_json: AsJson = False) -> None:
    """List the distillation methods with what they need of networks and batches; --json has all settings."""
    with Client(server) as client:
        found = client.methods()
    if as_json:
        print_document(found)
        return
    table = _table("method", "feature maps", "least batch", "settings")
    for method in found.methods:
        needs = method.maps
        maps = "none" if needs is None else f"{needs.least} of at least {needs.side}x{needs.side}"
        table.add_row(method.name, maps, str(method.least_batch), " ".join(method.settings) or "–")
    console().print(table)


def recipes(server: Server = SERVER_DEFAULT, as_json: AsJson = False) -> None:
    """List the training recipes; --json has all settings."""
    with Client(server) as client:
        found = client.recipes()
    if as_json:
        print_document(found)
        return
    shown = ("epochs", "batch_size", "learning_rate", "optimiser", "schedule", "augmentation")
    table = _table("recipe", *(name.replace("_", " ") for name in shown))
    for recipe in found.recipes:
        table.add_row(recipe.name, *(_text(recipe.settings.get(name)) for name in shown))
    console().print(table)


def _table(*titles: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in titles:
        table.add_column(title, overflow="fold")
    return table


def _text(value: Any) -> str:
    return "–" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
