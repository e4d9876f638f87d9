"""Every model's parameters, as far as weights must fit them, without building the model. No torch.

`model_weights.json` says what the library publishes and which parameters follow the data; `model_parameters.zip` holds
names and shapes. `python -m dpk_core.models.weight_inventory` writes both.
"""

from __future__ import annotations

import functools
import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from dpk_core.catalogue.own_models import own_model
from dpk_core.codec import from_json
from dpk_core.errors import InvalidRequest
from dpk_core.preprocessing import ModelPreprocessing


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """`name`: timm's model and tag (`resnet18.a1_in1k`), torchvision's file (`resnet18-f37072fd.pth`).

    `classes`: those of its head, 0 where it comes without one. `hub`: the Hugging Face repository that keeps the file;
    None: a file among torch's own. `side`: of the pictures that it was made for, where it fits no others.
    `preprocessing`, `license`: what the library says of it.
    """

    name: str
    classes: int
    hub: str | None = None
    side: int | None = None
    preprocessing: ModelPreprocessing | None = None
    license: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Positions:
    """How a table of positions follows the pictures: dimension `axis` has `extra` + (side / stride)^power entries."""

    axis: int
    extra: int
    stride: int
    power: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsCard:
    """A model's parameters as far as they follow the data, and its published weights.

    `head`: the parameters whose first dimension is the classes, with their other dimensions. `first`: those whose
    second dimension follows the channels of the pictures. `positions`: tables that follow their side in a known way;
    `sided`: every parameter whose shape follows it. `batch_norm`: whether it trains by statistics of a batch.
    `published`: by the library's tags, its default first.
    """

    head: dict[str, tuple[int, ...]]
    first: tuple[str, ...] = ()
    positions: dict[str, Positions] = field(default_factory=dict)
    sided: tuple[str, ...] = ()
    batch_norm: bool = False
    published: dict[str, Published] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Parameter:
    """Shape of a parameter or buffer, and whether its numbers are floating-point numbers."""

    shape: tuple[int, ...]
    floating: bool = True


Parameters = Mapping[str, Parameter]

LISTED_CLASSES, LISTED_CHANNELS = 1009, 3
"""What the models in the archive are built for; their pictures have each model's own side. The classes are an odd
number, so that no other map has as many values."""


def weights_card(model: str, field: str) -> WeightsCard:
    """What weights of a known model must fit. Raises InvalidRequest on `field` where the list does not say."""
    if model not in _listed()["models"]:
        if (own := own_model(model, field)) is not None:
            return from_json(WeightsCard, own.weights)
        raise InvalidRequest(field, f"It is not known which weights {model} takes.", "random")
    return _card(model)


def library(model: str) -> str:
    """The library that publishes the model's weights, and the version of it that the list is of."""
    family = model.partition("/")[0]
    return f"{family} {_listed()[family]}" if family in _listed() else ""


@functools.lru_cache(maxsize=32)
def model_parameters(model: str) -> Parameters:
    """Parameters and buffers of a model that has a card."""
    if (own := own_model(model)) is not None:
        return parse(own.parameters)[model]
    return _members(group(model))[model]


def group(model: str) -> str:
    """The member of the archive that holds the model: models of like names share one, as they pack well together."""
    found = re.match(r"[a-z]+/[a-z]*", model)
    assert found is not None, model
    return found[0]


def unparse(models: Mapping[str, Parameters]) -> str:
    """A member of the archive: for each model a line with its name, then a line for each parameter."""
    lines = []
    for model, parameters in models.items():
        lines.append(f"={model}")
        for name, each in parameters.items():
            lines.append(f"{name} {'' if each.floating else '!'}{'x'.join(map(str, each.shape))}")
    return "\n".join(lines)


def parse(text: str) -> dict[str, dict[str, Parameter]]:
    """The inverse of `unparse`."""
    models: dict[str, dict[str, Parameter]] = {}
    parameters: dict[str, Parameter] = {}
    for line in text.splitlines():
        if line.startswith("="):
            parameters = models.setdefault(line[1:], {})
        else:
            name, _, sizes = line.rpartition(" ")
            shape = tuple(int(size) for size in sizes.removeprefix("!").split("x") if size)
            parameters[name] = Parameter(shape, floating=not sizes.startswith("!"))
    return models


@functools.lru_cache(maxsize=4)
def _members(member: str) -> Mapping[str, Parameters]:
    """The models of one member of the archive. Lists of models ask for its neighbours next."""
    packed = resources.files(__package__).joinpath("model_parameters.zip")
    with packed.open("rb") as file, zipfile.ZipFile(file) as archive:
        return parse(archive.read(member).decode())


@functools.cache
def _listed() -> dict[str, Any]:
    listed: dict[str, Any] = json.loads(resources.files(__package__).joinpath("model_weights.json").read_text())
    return listed


@functools.lru_cache(maxsize=256)
def _card(model: str) -> WeightsCard:
    return from_json(WeightsCard, _listed()["models"][model])
