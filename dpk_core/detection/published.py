"""Weights for detectors that torchvision and timm publish, from the hub caches."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from dpk_core.models.weights import torchvision_state

URL = "https://download.pytorch.org/models/"


def classifier_state(model: str, tag: str) -> Mapping[str, Tensor]:
    """The weights `tag` of a classifier, `torchvision/…` or `timm/…`. Raises OSError where they cannot be had."""
    family, _, member = model.partition("/")
    if family == "torchvision":
        return torchvision_state(member, tag)
    import timm  # here, as detectors of torchvision's weights do without

    state: Mapping[str, Tensor] = timm.create_model(f"{member}.{tag}", pretrained=True).state_dict()
    return state


def published_file(name: str) -> Mapping[str, Tensor]:
    """The tensors of a file among torchvision's own. Raises OSError where it cannot be had."""
    state: Mapping[str, Tensor] = torch.hub.load_state_dict_from_url(
        f"{URL}{name}", map_location="cpu", progress=False, check_hash=True, weights_only=True
    )
    return state


def for_epsilon(state: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Weights of a backbone whose norms add nothing to the variance, for a model whose norms do: in evaluation they
    give the same numbers.

    torchvision's detectors on COCO were trained so (`overwrite_eps`).
    """
    changed = dict(state)
    for name, module in model.named_modules():
        variance = state.get(f"{name}.running_var")
        if isinstance(module, nn.BatchNorm2d) and variance is not None:
            factor = torch.where(variance > 0, ((variance + module.eps) / variance).sqrt(), 1.0)
            changed[f"{name}.weight"] = state[f"{name}.weight"] * factor
    return changed
