"""Builds a model with trained weights: published ones through its library's hub cache, or a local safetensors file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import timm
import torchvision
from safetensors import SafetensorError
from safetensors.torch import load_file
from timm.models import get_pretrained_cfg
from torch import Tensor, nn

from dpk_core.catalogue.models import model_card, takes_pictures
from dpk_core.errors import InvalidRequest
from dpk_core.models.build import build_model, own_randomness

Weights = Literal["random", "pretrained"] | Path
"""`pretrained`: what the model's library publishes for it; a path: a safetensors file of the model's own names."""

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

    Raises InvalidRequest on field `weights` where there are none, they cannot be had or do not fit; else as
    `build_model` does.
    """
    if isinstance(weights, Path):
        model = build_model(name, classes=classes, channels=channels, seed=seed, side=side)
        return _fitted(model, _read(weights), classes, str(weights.name))
    if weights == "random":
        return WeightedModel(model=build_model(name, classes=classes, channels=channels, seed=seed, side=side))
    family, _, member = model_card(name, "model").name.partition("/")
    try:
        if family == "timm":
            return _timm_pretrained(name, member, classes, channels, seed, side)
        if family == "torchvision":
            model = build_model(name, classes=classes, channels=channels, seed=seed, side=side)
            return _fitted(model, _torchvision_state(member, model), classes, f"the published weights of {name}")
    except OSError as error:
        problem = f"The published weights of {name} are not in the hub cache and cannot be downloaded here"
        raise InvalidRequest("weights", f"{problem} ({type(error).__name__}); {WAY_OUT}.") from error
    raise InvalidRequest("weights", f"There are no published weights of {name}; {WAY_OUT}.")


def _timm_pretrained(name: str, member: str, classes: int, channels: int, seed: int, side: int | None) -> WeightedModel:
    """timm fits the head, the first convolution and a ViT's position table itself."""
    config = get_pretrained_cfg(member)
    if config is None or not config.has_weights:
        raise InvalidRequest("weights", f"There are no published weights of {name}; {WAY_OUT}.")
    card = model_card(name, "model")
    told: dict[str, Any] = {"img_size": side} if side is not None and card.sides.told else {}
    if side is not None:
        takes_pictures(card, side, "model")
    with own_randomness(seed):
        model: Any = timm.create_model(member, pretrained=True, num_classes=classes, in_chans=channels, **told)
    notes = [] if channels == 3 else [f"Its first convolution was folded from 3 channels to {channels}."]
    heads = model.pretrained_cfg["classifier"]
    heads = (heads,) if isinstance(heads, str) else heads
    replaced: tuple[str, ...] = ()
    if classes != model.pretrained_cfg["num_classes"]:
        replaced = tuple(key for key, _ in model.named_parameters() if key.rpartition(".")[0] in heads)
        notes.append(_new_head(replaced, model.pretrained_cfg["num_classes"], classes))
    return WeightedModel(model=model, replaced=replaced, notes=tuple(notes))


def _torchvision_state(member: str, model: nn.Module) -> Mapping[str, Tensor]:
    """The published weights under the names of `model`; auxiliary classifiers, which it has not, are left out."""
    published = torchvision.models.get_model(member, weights="DEFAULT", progress=False)
    if hasattr(published, "transform_input"):  # these two networks scale their input when the weights are theirs
        model.transform_input = published.transform_input
    state: dict[str, Tensor] = published.state_dict()
    return {key: tensor for key, tensor in state.items() if not key.lower().startswith("aux")}


def _read(path: Path) -> Mapping[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        message = f"The weights {path.name} cannot be read as a safetensors file ({error})."
        raise InvalidRequest("weights", message) from error


def _fitted(model: nn.Module, state: Mapping[str, Tensor], classes: int, source: str) -> WeightedModel:
    """Loads every entry of `state` but a head for another number of classes; anything else that differs is refused."""
    own = model.state_dict()
    _refuse(source, "lacks", sorted(own.keys() - state.keys()))
    _refuse(source, "has no place for", sorted(state.keys() - own.keys()))
    replaced = tuple(key for key in own if own[key].shape != state[key].shape)
    made_for = {state[key].shape[0] for key in replaced if state[key].ndim}
    for key in replaced:
        head = own[key].shape[:1] == (classes,) and own[key].shape[1:] == state[key].shape[1:] and len(made_for) == 1
        if not head:
            shapes = f"{tuple(state[key].shape)} there and {tuple(own[key].shape)} in the model"
            raise InvalidRequest("weights", f"The weights {source} do not fit: {key!r} is {shapes}.")
    model.load_state_dict({**state, **{key: own[key] for key in replaced}})
    notes = (_new_head(replaced, made_for.pop(), classes),) if replaced else ()
    return WeightedModel(model=model, replaced=replaced, notes=notes)


def _refuse(source: str, what: str, keys: list[str]) -> None:
    if keys:
        more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
        subject = f"The weights {source} do not fit: "
        body = f"they lack {keys[0]!r}" if what == "lacks" else f"the model {what} {keys[0]!r}"
        raise InvalidRequest("weights", f"{subject}{body}{more}.")


def _new_head(replaced: tuple[str, ...], made_for: int, classes: int) -> str:
    parameters = ", ".join(replaced)
    return f"The head ({parameters}) was drawn anew, as the weights were made for {made_for} classes, not {classes}."
