"""Commands that list what a request may name: methods and recipes."""

from __future__ import annotations

from typing import Any

from client.options import SERVER_DEFAULT, AsJson, Server, print_document
from client.sdk import Client
from client.tables import print_table
from service.presentation.numbers import NOTHING


def methods(server: Server = SERVER_DEFAULT, as_json: AsJson = False) -> None:
    """List the distillation methods.

    With what they need of networks and batches; --json has all settings.

    For example: dpk methods
    """
    with Client(server) as client:
        found = client.methods()
    if as_json:
        print_document(found)
        return
    rows = []
    for method in found.methods:
        needs = method.maps
        maps = "none" if needs is None else f"{needs.least} of at least {needs.side}x{needs.side}"
        rows.append([method.name, maps, str(method.least_batch), " ".join(method.settings) or NOTHING])
    print_table(("method", "feature maps", "least batch", "settings"), rows)


def recipes(server: Server = SERVER_DEFAULT, as_json: AsJson = False) -> None:
    """List the training recipes; --json has all settings.

    For example: dpk recipes
    """
    with Client(server) as client:
        found = client.recipes()
    if as_json:
        print_document(found)
        return
    shown = ("epochs", "batch_size", "learning_rate", "optimiser", "schedule", "augmentation")
    rows = [[recipe.name, *(_text(recipe.settings.get(name)) for name in shown)] for recipe in found.recipes]
    print_table(("recipe", *(name.replace("_", " ") for name in shown)), rows)


def _text(value: Any) -> str:
    return NOTHING if value is None else f"{value:g}" if isinstance(value, float) else str(value)
