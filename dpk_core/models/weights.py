"""Builds a model with trained weights: published ones through its library's hub cache, or a local safetensors file.

A library of models is imported where one of its models is built, as in `build.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from dpk_core.catalogue.fitting import COUNTER, check_pictures, made_for
from dpk_core.catalogue.models import model_card, takes_pictures
from dpk_core.catalogue.own_models import UPLOAD
from dpk_core.catalogue.parameters import Parameter, weights_card
from dpk_core.catalogue.weights import OWN, PRETRAINED, RANDOM
from dpk_core.errors import InvalidRequest
from dpk_core.exported.program import DRAWING_RULE, OWN_START
from dpk_core.models.build import build_model, own_randomness
from dpk_core.models.exported import own_weights
from dpk_core.models.published import published

FIELD = "weights"

Weights = str | Path
"""`random`; `own`: what an uploaded model holds; `pretrained` or a tag: what the model's library publishes for it; a
path: a safetensors file of the model's own names."""

WAY_OUT = "take random weights or a local safetensors file"


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightedModel:
    """A model and what its weights are. `replaced`: the head's parameters, drawn anew because the weights were made for
    another number of classes; `notes`: what a reader of a result must know, one sentence each."""

    model: nn.Module
    replaced: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def build_with_weights(
    name: str, *, classes: int, channels: int, seed: int, side: int | None = None, weights: Weights
) -> WeightedModel:
    """The model `name` with `weights`; what they do not decide (a new head) is decided by `seed`, as in `build_model`.

    Raises InvalidRequest on field `weights` where there are none, they cannot be had, do not fit or hold numbers that
    are not finite; else as `build_model` does.
    """
    if weights == RANDOM:
        model = build_model(name, classes=classes, channels=channels, seed=seed, side=side)
        return WeightedModel(model=model, notes=(DRAWING_RULE,) if name.startswith(f"{UPLOAD}/") else ())
    if isinstance(weights, Path) or weights == OWN:
        source, state = (weights.name, _read(weights)) if isinstance(weights, Path) else (name, own_weights(name))
        model = build_model(name, classes=classes, channels=channels, seed=seed, side=side)
        built = _fitted(name, model, state, channels, side, source)
        if weights == OWN:
            built = replace(built, notes=(*built.notes, OWN_START))
    else:
        source = f"published for {name}"
        built = _published(name, weights, classes, channels, seed, side)
    _check_finite(built.model, source)
    return built


def _published(name: str, weights: str, classes: int, channels: int, seed: int, side: int | None) -> WeightedModel:
    family, _, member = model_card(name, "model").name.partition("/")
    tags = published(name)
    tag = next(iter(tags), None) if weights == PRETRAINED else weights
    if tag is None or tag not in tags:
        raise InvalidRequest(FIELD, f"There are no published weights of {name}; {WAY_OUT}.")
    try:
        if family == "timm":
            return _timm_pretrained(name, f"{member}.{tag}", classes, channels, seed, side)
        model = build_model(name, classes=classes, channels=channels, seed=seed, side=side)
        state = _torchvision_state(member, tag)
        return _fitted(name, model, state, channels, side, f"published for {name}")
    except OSError as error:
        problem = f"The published weights of {name} are not in the hub cache and cannot be downloaded here"
        raise InvalidRequest(FIELD, f"{problem} ({type(error).__name__}); {WAY_OUT}.") from error


def _timm_pretrained(name: str, tagged: str, classes: int, channels: int, seed: int, side: int | None) -> WeightedModel:
    """timm fits the head, the first convolution and a ViT's position table itself."""
    import timm

    card = model_card(name, "model")
    told: dict[str, Any] = {"img_size": side} if side is not None and card.sides.told else {}
    if side is not None:
        takes_pictures(card, side, "model")
    with own_randomness(seed):
        model: Any = timm.create_model(tagged, pretrained=True, num_classes=classes, in_chans=channels, **told)
    notes = [] if channels == 3 else [_folded_note(3, channels)]
    heads = model.pretrained_cfg["classifier"]
    heads = (heads,) if isinstance(heads, str) else heads
    replaced: tuple[str, ...] = ()
    if classes != model.pretrained_cfg["num_classes"]:
        replaced = tuple(key for key, _ in model.named_parameters() if key.rpartition(".")[0] in heads)
        notes.append(_new_head(replaced, model.pretrained_cfg["num_classes"], classes))
    return WeightedModel(model=model, replaced=replaced, notes=tuple(notes))


def _torchvision_state(member: str, tag: str) -> Mapping[str, Tensor]:
    import torchvision

    state: Mapping[str, Tensor] = torchvision.models.get_model(member, weights=tag, progress=False).state_dict()
    return state


def _read(path: Path) -> Mapping[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        message = f"The weights {path.name} cannot be read as a safetensors file ({error})."
        raise InvalidRequest(FIELD, message) from error


def _fitted(
    name: str, model: nn.Module, state: Mapping[str, Tensor], channels: int, side: int | None, source: str
) -> WeightedModel:
    """Loads every entry of `state` but a head for another number of classes; anything else that differs is refused."""
    tensors = {key: Parameter(tuple(each.shape), each.is_floating_point()) for key, each in state.items()}
    made = made_for(name, tensors, source, FIELD)
    check_pictures(made, side, channels, source, FIELD)
    own, notes = model.state_dict(), []
    given = {key.removeprefix(made.prefix): tensor for key, tensor in state.items()}
    if made.prefix:
        notes.append(f"The names in the weights {source} begin with {made.prefix!r}, which was left out.")
    for key in weights_card(name, FIELD).first:
        if given[key].shape[1] != own[key].shape[1]:
            given[key] = given[key].sum(dim=1, keepdim=True)
            notes.append(_folded_note(made.channels or 3, channels))
    replaced = tuple(key for key in weights_card(name, FIELD).head if own[key].shape != given[key].shape)
    if replaced:
        notes.append(_new_head(replaced, made.classes, own[replaced[0]].shape[0]))
    kept = {key: own[key] for key in own if key in replaced or (key.endswith(COUNTER) and key not in given)}
    try:
        model.load_state_dict({**given, **kept})
    except RuntimeError as error:  # the sentence's last line names the first parameter that differs
        reason = str(error).strip().splitlines()[-1].strip().rstrip(".")
        raise InvalidRequest(FIELD, f"The weights {source} do not fit {name}: {reason}.") from error
    return WeightedModel(model=model, replaced=replaced, notes=tuple(notes))


def _check_finite(model: nn.Module, source: str) -> None:
    for key, tensor in model.state_dict().items():
        if not torch.isfinite(tensor).all():
            message = f"The weights {source} hold numbers that are not finite ({key}); take an earlier state."
            raise InvalidRequest(FIELD, message)


def _folded_note(made_for: int, channels: int) -> str:
    return f"Its first convolution was folded from {made_for} channels to {channels}."


def _new_head(replaced: tuple[str, ...], made_for: int, classes: int) -> str:
    parameters = ", ".join(replaced)
    return f"The head ({parameters}) was drawn anew, as the weights were made for {made_for} classes, not {classes}."
