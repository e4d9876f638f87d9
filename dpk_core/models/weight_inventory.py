"""Writes `model_weights.json`: every model's head, the names of its parameters as one hash, and its published weights.

    python -m dpk_core.models.weight_inventory

Each model is built on the meta device: nothing is downloaded and no memory is needed.
"""

from __future__ import annotations

import json
import logging
import sys
import warnings
from pathlib import Path
from typing import NotRequired, TypedDict

import timm
import torch
import torchvision

from dpk_core.catalogue.models import model_card, model_names
from dpk_core.catalogue.tensors import names_digest
from dpk_core.models.inventory import CLASSES, build_on_meta
from dpk_core.models.published import published

TARGET = Path(__file__).parent.parent / "catalogue" / "model_weights.json"


class PublishedEntry(TypedDict):
    """As in `models.published.Published`."""

    name: str
    classes: int
    hub: NotRequired[str]


class WeightsEntry(TypedDict):
    """One model in the file. `head`: shapes of the parameters whose first dimension is the classes, without it.

    `names`: see `names_digest`; left out where they depend on the size of the pictures.
    """

    head: dict[str, list[int]]
    names: NotRequired[str]
    published: NotRequired[PublishedEntry]


def describe_weights(name: str) -> WeightsEntry:
    """The entry of one model. Raises whatever the library raises when it builds the model."""
    family, _, member = name.partition("/")
    model = build_on_meta(family, member, None)
    head = {key: list(value.shape[1:]) for key, value in model.named_parameters() if value.shape[:1] == (CLASSES,)}
    entry = WeightsEntry(head=head)
    if not model_card(name, "model").sides.told:
        entry["names"] = names_digest(model.state_dict())
    if (found := published(name)) is not None:
        entry["published"] = {"name": found.name, "classes": found.classes}
        if found.hub is not None:
            entry["published"]["hub"] = found.hub
    return entry


def main() -> None:
    """Describes every known model and tells how it went on standard error."""
    warnings.simplefilter("ignore")  # deprecations inside the libraries' own models
    logging.disable(logging.WARNING)
    lines = []
    names = model_names()
    for count, name in enumerate(names, start=1):
        try:
            lines.append(f"{json.dumps(name)}: {json.dumps(describe_weights(name), separators=(',', ':'))}")
        except Exception as error:  # the model's card says already that it cannot be built
            sys.stderr.write(f"{name}: {type(error).__name__}\n")
        if count % 100 == 0 or count == len(names):
            sys.stderr.write(f"{count} of {len(names)} models\n")
    header = {
        "generated_by": "python -m dpk_core.models.weight_inventory",
        "torchvision": torchvision.__version__.partition("+")[0],
        "timm": timm.__version__,
        "torch": torch.__version__.partition("+")[0],
    }
    TARGET.write_text(f'{json.dumps(header)[:-1]}, "models": {{\n' + ",\n".join(lines) + "\n}}\n")


if __name__ == "__main__":
    main()
