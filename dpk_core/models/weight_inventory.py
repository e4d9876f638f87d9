"""Writes `model_weights.json` and `model_parameters.zip`: what weights of each model must fit, and what is published.

    python -m dpk_core.models.weight_inventory

Each model is built on the meta device: nothing is downloaded and no memory is needed. One that is built for the side of
its pictures is built for two, which shows what follows it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
import torch
import torchvision
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from dpk_core.catalogue.models import model_card, model_names
from dpk_core.catalogue.parameters import (
    LISTED_CHANNELS,
    LISTED_CLASSES,
    Parameter,
    Parameters,
    Positions,
    WeightsCard,
    group,
    unparse,
)
from dpk_core.codec import to_json
from dpk_core.models.inventory import build_on_meta, own_size
from dpk_core.models.published import published
from dpk_core.preprocessing import AS_DATA

FOLDER = Path(__file__).parent.parent / "catalogue"
CARDS, PARAMETERS = FOLDER / "model_weights.json", FOLDER / "model_parameters.zip"

OTHER_SIDE = 2
"""Times the own side: the other one that a model is built for, where it is built for a side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A model's parameters as built for pictures of its own side and, where it is built for one, for those of another.

    `first`: the modules that timm declares as its first convolution.
    """

    own: Parameters
    side: int
    others: Mapping[int, Parameters]
    first: tuple[str, ...]
    batch_norm: bool


def build(name: str) -> Built:
    """Builds a model in every way that is compared. Raises whatever the library raises."""
    family, _, member = name.partition("/")
    model: Any = build_on_meta(family, member)
    side = own_size(model)[0]
    others: dict[int, Parameters] = {}
    if model_card(name, "model").sides.sized:
        with contextlib.suppress(Exception):  # its card says which pictures it takes
            others[OTHER_SIDE * side] = _parameters(build_on_meta(family, member, OTHER_SIDE * side))
    return Built(
        own=_parameters(model), side=side, others=others, first=first_convolutions(model),
        batch_norm=any(isinstance(module, _BatchNorm) for module in model.modules()),
    )  # fmt: skip


def first_convolutions(model: Any) -> tuple[str, ...]:
    """Those that timm declares; a CIFAR network's is its first module, and torchvision's models never follow the
    channels of pictures (`models.build`)."""
    if hasattr(model, "pretrained_cfg"):
        declared = model.pretrained_cfg.get("first_conv") or ()
        return (declared,) if isinstance(declared, str) else tuple(declared)
    if type(model).__module__.startswith("torchvision."):
        return ()
    return (next(iter(model.state_dict())).rpartition(".")[0],)


def describe_weights(name: str, built: Built) -> WeightsCard:
    """The card of one model."""
    own = built.own
    first = [key for key in (f"{module}.weight" for module in built.first) if key in own]
    sided = [key for key in own if any(own[key] != other.get(key) for other in built.others.values())]
    tables = {key: _positions(built, key) for key in sided}
    return WeightsCard(
        head={key: each.shape[1:] for key, each in own.items() if each.shape[:1] == (LISTED_CLASSES,)},
        first=tuple(key for key in first if own[key].shape[1:2] == (LISTED_CHANNELS,)),
        positions={key: table for key, table in tables.items() if table is not None},
        sided=tuple(sided),
        batch_norm=built.batch_norm,
        published=dict(published(name)),
    )


def entry(card: WeightsCard) -> dict[str, Any]:
    """The card as the file holds it, without what is empty."""
    said: dict[str, Any] = to_json(card)
    said["published"] = {
        tag: {k: _without_defaults(v) for k, v in each.items() if v is not None}
        for tag, each in said["published"].items()
    }
    return {key: value for key, value in said.items() if value or key == "head"}


def _without_defaults(value: Any) -> Any:
    """Of preprocessing, what is not as it mostly is."""
    mostly = to_json(AS_DATA)
    return {k: v for k, v in value.items() if v != mostly[k]} if isinstance(value, dict) else value


def main() -> None:
    """Describes every known model and reports progress on standard error."""
    warnings.simplefilter("ignore")  # deprecations inside the libraries' own models
    logging.disable(logging.WARNING)
    found: dict[str, Built] = {}
    names = [name for name in model_names() if model_card(name, "model").task == "classification"]
    for count, name in enumerate(names, start=1):
        try:
            found[name] = build(name)
        except Exception as error:  # the model's card says already that it cannot be built
            sys.stderr.write(f"{name}: {type(error).__name__}\n")
        if count % 100 == 0 or count == len(names):
            sys.stderr.write(f"{count} of {len(names)} models\n")
    write(found)


def write(found: Mapping[str, Built]) -> None:
    """Writes both files; the archive has fixed times, so that equal content gives equal bytes."""
    lines = (
        f"{json.dumps(name)}: {json.dumps(entry(describe_weights(name, built)), separators=(',', ':'))}"
        for name, built in found.items()
    )
    header = {
        "generated_by": "python -m dpk_core.models.weight_inventory",
        "torchvision": torchvision.__version__.partition("+")[0],
        "timm": timm.__version__,
        "torch": torch.__version__.partition("+")[0],
    }
    CARDS.write_text(f'{json.dumps(header)[:-1]}, "models": {{\n' + ",\n".join(lines) + "\n}}\n")
    groups: dict[str, dict[str, Parameters]] = {}
    for name, built in found.items():
        groups.setdefault(group(name), {})[name] = built.own
    with zipfile.ZipFile(PARAMETERS, "w", zipfile.ZIP_LZMA) as archive:
        for member, models in sorted(groups.items()):
            archive.writestr(zipfile.ZipInfo(member), unparse(models), zipfile.ZIP_LZMA)


def _parameters(model: nn.Module) -> Parameters:
    return {key: Parameter(tuple(value.shape), value.is_floating_point()) for key, value in model.state_dict().items()}


def _positions(built: Built, key: str) -> Positions | None:
    """The law by which one dimension of a table follows the side, if it is one of tokens or of places in a row."""
    for side, other in built.others.items():
        for axis, (entries, more) in enumerate(zip(built.own[key].shape, other[key].shape, strict=True)):
            for power in (1, 2):
                stride = _stride(built.side**power, side**power, entries, more, power)
                extra = entries - (built.side // stride) ** power if stride else -1
                if stride and extra >= 0 and extra + (side // stride) ** power == more:
                    return Positions(axis=axis, extra=extra, stride=stride, power=power)
    return None


def _stride(first: int, second: int, entries: int, more: int, power: int) -> int:
    """The stride that explains the growth of a dimension with the side; 0: it does not grow so."""
    return round(((second - first) / (more - entries)) ** (1 / power)) if more > entries else 0


if __name__ == "__main__":
    main()
