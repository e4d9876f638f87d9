"""What is measured of a model that no library lists: it is built and run on blank pictures.

It runs on the CPU: the meta device would spare the arithmetic of a small network, and cost more in loading its rules.
Reuses what measures those: which modules give feature maps (`trace`), which pictures are taken (`picture_sides`), and
which parameters weights must fit (`weight_inventory`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from dpk_core.catalogue.parameters import LISTED_CLASSES, Parameter, WeightsCard, unparse
from dpk_core.codec import to_json
from dpk_core.models.picture_sides import picture_sides
from dpk_core.models.trace import NO_SCORES, NoTaps, found_taps, gives_scores

TRIED_SIDES = (224, 64, 32, 28, 96, 128, 16, 8)
"""Picture sides that a plug-in's model is tried with, in this order."""

Build = Callable[[int], nn.Module]
"""Gives the model with `LISTED_CLASSES` classes for pictures of a side, in evaluation mode."""


def first_side(build: Build) -> int:
    """The first of the usual sides at which the model can be built and run. Raises what the last one raised."""
    for side in TRIED_SIDES:
        try:
            with torch.no_grad():
                build(side)(torch.empty(2, 3, side, side))
        except Exception:  # whatever a person's model raises on pictures that it was not made for
            if side == TRIED_SIDES[-1]:
                raise
            continue
        return side
    raise AssertionError


def card_entry(model: nn.Module, side: int, classes: int, build: Build | None) -> dict[str, Any]:
    """The model's entry as of `library_models.json`. `build`: None where its picture sizes are fixed."""
    with torch.no_grad():
        if not gives_scores(model, (side, side), classes):
            return {"taps": [], "obstacle": NO_SCORES, "classifies": False}
        try:
            taps = found_taps(model, (side, side), classes)
        except NoTaps as reason:
            return {"taps": [], "obstacle": str(reason)}
        sides, taps = picture_sides(model, side, taps, build)
    return {"taps": taps, "sides": sides} if sides else {"taps": taps}


def listed_parameters(name: str, model: nn.Module) -> str:
    """The model's parameters and buffers as a member of `model_parameters.zip`."""
    state = model.state_dict().items()
    return unparse({name: {key: Parameter(tuple(each.shape), each.is_floating_point()) for key, each in state}})


def plugin_weights(model: nn.Module, other_side: nn.Module | None) -> dict[str, Any]:
    """What weights of a plug-in's model must fit. `other_side`: the model for pictures of another side, if it takes
    them: parameters that differ there follow the pictures."""
    own = model.state_dict()
    other = own if other_side is None else other_side.state_dict()
    card = WeightsCard(
        head={key: tuple(each.shape[1:]) for key, each in own.items() if each.shape[:1] == (LISTED_CLASSES,)},
        sided=tuple(key for key in own if key not in other or own[key].shape != other[key].shape),
        batch_norm=any(isinstance(module, _BatchNorm) for module in model.modules()),
    )
    return dict(to_json(card))


def trainable(model: nn.Module, head: Collection[str]) -> int:
    """Numbers in the model's parameters without those of the head, which follow the classes."""
    return sum(each.numel() for key, each in model.named_parameters() if key not in head)
