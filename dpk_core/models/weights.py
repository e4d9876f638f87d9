"""Builds a model with trained weights: published ones through its library's hub cache, or those of a local file.

A library of models is imported where one of its models is built, as in `build.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from dpk_core.catalogue.fitting import COUNTER, check_pictures, is_refitted, made_for
from dpk_core.catalogue.models import model_card, takes_pictures
from dpk_core.catalogue.own_models import UPLOAD
from dpk_core.catalogue.parameters import Parameter, WeightsCard, weights_card
from dpk_core.catalogue.weight_names import OWN, PRETRAINED, RANDOM
from dpk_core.catalogue.weights import readable_file
from dpk_core.errors import InvalidRequest
from dpk_core.exported.program import DRAWING_RULE, OWN_START
from dpk_core.models.build import build_model
from dpk_core.models.exported import own_weights
from dpk_core.models.initialisation import own_randomness
from dpk_core.models.published import published

FIELD = "weights"

Weights = str | Path
"""`random`; `own`: what an uploaded model holds; `pretrained` or a tag: what the model's library publishes for it; a
path: a safetensors or PyTorch file of the model's own names."""

WAY_OUT = "take random weights or a local safetensors file"


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightedModel:
    """A model and what its weights are. `replaced`: the head's parameters, drawn anew because the weights were made for
    another number of classes; `notes`: what a reader of a result must know, one sentence each."""

    model: nn.Module
    replaced: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def build_with_weights(
    name: str, *, classes: int, channels: int, seed: int, side: int | None = None, weights: Weights,
    class_map: tuple[int, ...] | None = None,
) -> WeightedModel:  # fmt: skip
    """The model `name` with `weights`; what they do not decide (a new head) is decided by `seed`, as in `build_model`.

    `class_map`: for each class the one of the weights whose scores it takes.

    Raises InvalidRequest on field `weights` where there are none, they cannot be had, do not fit or hold numbers that
    are not finite; else as `build_model` does.
    """
    if weights == RANDOM:
        model = build_model(name, classes=classes, channels=channels, seed=seed, side=side)
        return WeightedModel(model=model, notes=(DRAWING_RULE,) if name.startswith(f"{UPLOAD}/") else ())
    if isinstance(weights, Path) or weights == OWN:
        source, state = (
            (weights.name, read_weights(weights)) if isinstance(weights, Path) else (name, own_weights(name))
        )
        model = build_model(name, classes=classes, channels=channels, seed=seed, side=side)
        built = _fitted(name, model, state, channels, side, source, class_map)
        if weights == OWN:
            built = replace(built, notes=(*built.notes, OWN_START))
    else:
        source = f"published for {name}"
        built = _published(name, weights, classes, channels, seed, side, class_map)
    check_finite(built.model, source)
    return built


def _published(
    name: str, weights: str, classes: int, channels: int, seed: int, side: int | None,
    class_map: tuple[int, ...] | None,
) -> WeightedModel:  # fmt: skip
    family, _, member = model_card(name, "model").name.partition("/")
    tags = published(name)
    tag = next(iter(tags), None) if weights == PRETRAINED else weights
    if tag is None or tag not in tags:
        raise InvalidRequest(FIELD, f"There are no published weights of {name}; {WAY_OUT}.")
    try:
        if family == "timm" and class_map is None:
            return _timm_pretrained(name, f"{member}.{tag}", classes, channels, seed, side)
        model = build_model(name, classes=classes, channels=channels, seed=seed, side=side)
        if family == "timm":
            whole = _timm_pretrained(name, f"{member}.{tag}", tags[tag].classes, channels, seed, side)
            state: Mapping[str, Tensor] = whole.model.state_dict()
        else:
            state = torchvision_state(member, tag)
        return _fitted(name, model, state, channels, side, f"published for {name}", class_map)
    except OSError as error:
        problem = f"The published weights of {name} are not in the hub cache and cannot be downloaded here"
        raise InvalidRequest(FIELD, f"{problem} ({type(error).__name__}); {WAY_OUT}.") from error


def _timm_pretrained(name: str, tagged: str, classes: int, channels: int, seed: int, side: int | None) -> WeightedModel:
    """timm fits the head, the first convolution and a ViT's position table itself."""
    import timm

    card = model_card(name, "model")
    size: dict[str, Any] = {"img_size": side} if side is not None and card.sides.sized else {}
    if side is not None:
        takes_pictures(card, side, "model")
    with own_randomness(seed):
        model: Any = timm.create_model(tagged, pretrained=True, num_classes=classes, in_chans=channels, **size)
    notes = [] if channels == 3 else [_folded_note(3, channels)]
    heads = model.pretrained_cfg["classifier"]
    heads = (heads,) if isinstance(heads, str) else heads
    replaced: tuple[str, ...] = ()
    if classes != model.pretrained_cfg["num_classes"]:
        replaced = tuple(key for key, _ in model.named_parameters() if key.rpartition(".")[0] in heads)
        notes.append(_new_head(replaced, model.pretrained_cfg["num_classes"], classes))
    return WeightedModel(model=model, replaced=replaced, notes=tuple(notes))


def torchvision_state(member: str, tag: str) -> Mapping[str, Tensor]:
    """The weights `tag` of a torchvision classifier, from the hub cache. Raises OSError where they cannot be had."""
    import torchvision

    state: Mapping[str, Tensor] = torchvision.models.get_model(member, weights=tag, progress=False).state_dict()
    return state


def read_weights(path: Path) -> Mapping[str, Tensor]:
    """The tensors of a safetensors file. Raises InvalidRequest on field `weights`."""
    try:
        return load_file(readable_file(path, path.name, FIELD))
    except (OSError, SafetensorError) as error:
        message = f"The weights {path.name} cannot be read: they are no safetensors file ({error})."
        raise InvalidRequest(FIELD, message) from error


def _fitted(
    name: str, model: nn.Module, state: Mapping[str, Tensor], channels: int, side: int | None, source: str,
    class_map: tuple[int, ...] | None,
) -> WeightedModel:  # fmt: skip
    """Loads every entry of `state` but a head for another number of classes; anything else that differs is refused."""
    tensors = {key: Parameter(tuple(each.shape), each.is_floating_point()) for key, each in state.items()}
    made = made_for(name, tensors, source, FIELD)
    check_pictures(made, side, channels, source, FIELD)
    own, notes, card = model.state_dict(), [], weights_card(name, FIELD)
    given = {
        key.removeprefix(made.prefix): tensor
        for key, tensor in state.items()
        if key.startswith(made.prefix)
    }  # fmt: skip
    if made.prefix:
        notes.append(prefix_note(source, made.prefix))
    if class_map is not None:
        given |= {key: given[key][list(class_map)] for key in card.head}
    given, refitted = _refitted(given, own, card)
    if refitted and None not in (made.side, side):
        notes.append(_refitted_note(made.side, side))
    for key in card.first:
        if given[key].shape[1] != own[key].shape[1]:
            given[key] = given[key].sum(dim=1, keepdim=True)
            notes.append(_folded_note(made.channels or 3, channels))
    replaced = tuple(key for key in card.head if own[key].shape != given[key].shape)
    if replaced:
        notes.append(_new_head(replaced, made.classes, own[replaced[0]].shape[0]))
    kept = {key: own[key] for key in own if key in replaced or (key.endswith(COUNTER) and key not in given)}
    try:
        model.load_state_dict({**given, **kept})
    except RuntimeError as error:  # the sentence's last line names the first parameter that differs
        reason = str(error).strip().splitlines()[-1].strip().rstrip(".")
        raise InvalidRequest(FIELD, f"The weights {source} do not fit {name}: {reason}.") from error
    return WeightedModel(model=model, replaced=replaced, notes=tuple(notes))


def _refitted(given: dict[str, Tensor], own: Mapping[str, Tensor], card: WeightsCard) -> tuple[dict[str, Tensor], bool]:
    """Tables of positions resampled for pictures of another side, as timm does with published weights, and whether any
    had to be."""
    other = [key for key in card.positions if is_refitted(card) and given[key].shape != own[key].shape]
    if not other:
        return given, False
    from timm.layers.pos_embed import resample_abs_pos_embed  # here, as timm takes longer to import than torch

    for key in other:
        extra = card.positions[key].extra
        side = math.isqrt(own[key].shape[1] - extra)
        given = {**given, key: resample_abs_pos_embed(given[key].float(), [side, side], num_prefix_tokens=extra)}
    return given, True


def check_finite(model: nn.Module, source: str) -> None:
    """Raises InvalidRequest on field `weights` where a parameter or buffer is not finite."""
    for key, tensor in model.state_dict().items():
        if not torch.isfinite(tensor).all():
            message = f"The weights {source} hold numbers that are not finite ({key}); take an earlier state."
            raise InvalidRequest(FIELD, message)


def prefix_note(source: str, prefix: str) -> str:
    """What was left out before the names of a file's tensors, and which entry of a checkpoint was taken."""
    entry, slash, rest = prefix.rpartition("/")
    begin = f"The names in the weights {source} begin with {rest!r}, which was left out." if rest else ""
    return f"Of the checkpoint {source} the entry {entry!r} was taken. {begin}".strip() if slash else begin


def _refitted_note(made_for: int | None, side: int | None) -> str:
    return (
        f"Its table of positions, made for pictures of {made_for}x{made_for}, was resampled for {side}x{side}; with "
        f"size={made_for} the pictures are resized instead."
    )


def _folded_note(made_for: int, channels: int) -> str:
    return f"Its first convolution was folded from {made_for} channels to {channels}."


def _new_head(replaced: tuple[str, ...], made_for: int, classes: int) -> str:
    parameters = ", ".join(replaced)
    return f"The head ({parameters}) was drawn anew, as the weights were made for {made_for} classes, not {classes}."
