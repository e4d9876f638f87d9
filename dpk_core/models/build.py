"""Builds a model by its name, `family/name`, always from random initialisation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import timm
import torch
import torchvision
from torch import Tensor, nn

from dpk_core.catalogue.models import cifar_shape, model_card
from dpk_core.models.cifar_resnet import CifarResNet

TORCHVISION_OPTIONS: dict[str, dict[str, Any]] = {
    # Auxiliary classifiers would make the output a tuple; naming `init_weights` keeps the library from warning.
    "googlenet": {"aux_logits": False, "init_weights": True},
    "inception_v3": {"aux_logits": False, "init_weights": True},
}


def build_model(name: str, *, classes: int, channels: int, seed: int) -> nn.Module:
    """The model `name` in training mode on the CPU; equal arguments give equal weights.

    No global random state is moved. Raises InvalidRequest on field `model` for an unknown name, ValueError for
    channels that the family cannot take.
    """
    family, _, member = model_card(name, "model").name.partition("/")
    with own_randomness(seed):
        return FAMILIES[family](member, classes, channels)


def parameter_count(model: nn.Module) -> int:
    """Trainable and frozen parameters together, buffers excluded."""
    return sum(parameter.numel() for parameter in model.parameters())


@contextmanager
def own_randomness(seed: int) -> Iterator[None]:
    """Seeds the CPU generator for the block and puts its state back afterwards; no other device is touched."""
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed would move every CUDA generator too.
        torch.default_generator.manual_seed(seed)
        yield


def _build_cifar(member: str, classes: int, channels: int) -> nn.Module:
    return CifarResNet(cifar_shape(member), classes=classes, channels=channels)


def _build_timm(member: str, classes: int, channels: int) -> nn.Module:
    model: nn.Module = timm.create_model(member, pretrained=False, num_classes=classes, in_chans=channels)
    return model


def _build_torchvision(member: str, classes: int, channels: int) -> nn.Module:
    if channels not in (1, 3):
        raise ValueError(f"torchvision models take pictures of 1 or 3 channels, not {channels}")
    options = TORCHVISION_OPTIONS.get(member, {})
    model: nn.Module = torchvision.models.get_model(member, weights=None, num_classes=classes, **options)
    if channels == 1:
        model.register_forward_pre_hook(_repeat_grey)
    return model


def _repeat_grey(_: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
    """Grey pictures as three equal channels: a hook, so the model's module names and weights stay the library's."""
    return (inputs[0].expand(-1, 3, -1, -1),)


FAMILIES: dict[str, Callable[[str, int, int], nn.Module]] = {
    "cifar": _build_cifar,
    "timm": _build_timm,
    "torchvision": _build_torchvision,
}
"""How a family builds one of its members, from its name without the family, classes and channels."""
