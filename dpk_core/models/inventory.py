"""Writes `library_models.json`: every classifier of the installed timm and torchvision with its feature maps.

    python -m dpk_core.models.inventory

Each model is built and run once on the meta device, so nothing is downloaded and no memory is needed. timm declares
where its features are, and the run checks the declaration; torchvision declares nothing, so the run finds them.
"""

from __future__ import annotations

import json
import logging
import sys
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import timm
import torch
import torchvision
from torch import nn
from torch.overrides import TorchFunctionMode

from dpk_core.catalogue.parameters import LISTED_CHANNELS, LISTED_CLASSES
from dpk_core.models.build import FAMILIES
from dpk_core.models.picture_sides import SidesEntry, picture_sides
from dpk_core.models.trace import NO_SCORES, NoTaps, TapEntry, declared_taps, found_taps, gives_scores

TARGET = Path(__file__).parent.parent / "catalogue" / "library_models.json"

OWN_SIDE = 224
"""The picture side that torchvision's models are made for."""


class Entry(TypedDict):
    """One model in the file. `sides`: where not every picture is taken; `obstacle`: why there are no taps.

    `classifies`: False where the model gives no class scores at all.
    """

    taps: list[TapEntry]
    sides: NotRequired[SidesEntry]
    obstacle: NotRequired[str]
    classifies: NotRequired[bool]


def library_names() -> list[str]:
    """Every classifier by `family/name`, sorted; names without a pretrained tag."""
    found = torchvision.models.list_models(module=torchvision.models)
    return sorted([f"timm/{name}" for name in timm.list_models()] + [f"torchvision/{name}" for name in found])


def describe(name: str) -> Entry:
    """Taps of one model and the pictures it takes, or the obstacle."""
    family, _, member = name.partition("/")
    try:
        model = build_on_meta(family, member)
        with torch.device("meta"), torch.no_grad():
            size = own_size(model)
            taps = _taps(model, size)
            if not gives_scores(model, size, LISTED_CLASSES):
                return {"taps": [], "obstacle": NO_SCORES, "classifies": False}
            sides, taps = picture_sides(model, max(size), taps, lambda side: build_on_meta(family, member, side))
    except NoTaps as reason:
        return {"taps": [], "obstacle": str(reason)}
    except Exception as error:  # whatever a library's model raises, the sweep goes on and the file says so
        return {"taps": [], "obstacle": f"it does not run on the meta device ({type(error).__name__})"}
    return {"taps": taps, "sides": sides} if sides else {"taps": taps}


def write(entries: Iterable[tuple[str, Entry]], target: Path) -> None:
    """Writes the file, one model a line."""
    header = {
        "generated_by": "python -m dpk_core.models.inventory",
        "torchvision": torchvision.__version__.partition("+")[0],
        "timm": timm.__version__,
    }
    lines = [f"{json.dumps(name)}: {json.dumps(entry, separators=(',', ':'))}" for name, entry in entries]
    head = json.dumps(header)[:-1]
    target.write_text(f'{head}, "models": {{\n' + ",\n".join(lines) + "\n}}\n")


def main() -> None:
    """Describes every model and reports progress on standard error."""
    warnings.simplefilter("ignore")  # deprecations inside the libraries' own models
    logging.disable(logging.WARNING)
    names = library_names()
    entries: list[tuple[str, Entry]] = []
    for count, name in enumerate(names, start=1):
        entries.append((name, describe(name)))
        if count % 100 == 0 or count == len(names):
            sys.stderr.write(f"{count} of {len(names)} models\n")
    write(entries, TARGET)
    usable = sum(len(entry["taps"]) >= 2 for _, entry in entries)
    sys.stderr.write(f"{usable} of {len(names)} models have two feature maps or more\n")


def build_on_meta(family: str, member: str, side: int | None = None, channels: int = LISTED_CHANNELS) -> nn.Module:
    """The model with `LISTED_CLASSES` classes, without memory for its numbers and without drawing them."""
    try:
        with torch.device("meta"), _Undrawn():
            return FAMILIES[family](member, LISTED_CLASSES, channels, side).eval()
    except (NotImplementedError, RuntimeError):  # a constructor that computes with tensor values
        return FAMILIES[family](member, LISTED_CLASSES, channels, side).eval().to("meta")


class _Undrawn(TorchFunctionMode):
    """Leaves out what would only fill tensors without memory: three quarters of the time of building a model."""

    def __torch_function__(
        self, func: Callable[..., Any], _types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in _DRAWING and isinstance(args[0], torch.Tensor) and args[0].is_meta:
            return args[0]
        return func(*args, **(kwargs or {}))


_DRAWING = frozenset(
    getattr(torch.Tensor, f"{name}_") for name in ("normal", "uniform", "erfinv", "mul", "add", "clamp", "fill", "zero")
)


def _taps(model: nn.Module, size: tuple[int, int]) -> list[TapEntry]:
    """The declared taps; where there are none, those that a run finds."""
    try:
        return declared_taps(model, size, _declared(model))
    except NoTaps:
        return found_taps(model, size, LISTED_CLASSES)


def _declared(model: nn.Module) -> list[tuple[str, int]]:
    """What timm declares: module and channels. torchvision declares nothing."""
    features: Any = getattr(model, "feature_info", None) or []
    features = getattr(features, "info", features)
    return [(str(feature["module"]), int(feature["num_chs"])) for feature in features if feature.get("module")]


def own_size(model: nn.Module) -> tuple[int, int]:
    """Height and width of the pictures that the model was made for."""
    config: Any = getattr(model, "pretrained_cfg", None)
    return (int(config["input_size"][1]), int(config["input_size"][2])) if config else (OWN_SIDE, OWN_SIDE)


if __name__ == "__main__":
    main()
