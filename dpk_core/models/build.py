"""Builds a model by its name, `family/name`, from random initialisation; `weights.py` loads trained weights.

A library of models is imported when one of its models is built: together they take longer to start than torch does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from dpk_core.catalogue.cifar_models import cifar_shape
from dpk_core.catalogue.models import check_data, model_card, takes_pictures
from dpk_core.errors import InvalidRequest
from dpk_core.models.cifar_convolutions import STACKS, CifarConvolutions
from dpk_core.models.cifar_mobilenet import CifarMobileNetV2
from dpk_core.models.cifar_resnet import CifarResNet
from dpk_core.models.cifar_shufflenet_v1 import CifarShuffleNetV1
from dpk_core.models.cifar_shufflenet_v2 import CifarShuffleNetV2
from dpk_core.models.cifar_wrn import CifarWideResNet
from dpk_core.models.exported import build_exported
from dpk_core.models.initialisation import own_randomness
from dpk_core.models.plugin import build_plugin

TORCHVISION_OPTIONS: dict[str, dict[str, Any]] = {
    # Auxiliary classifiers would make the output a tuple; naming `init_weights` keeps the library from warning.
    "googlenet": {"aux_logits": False, "init_weights": True},
    "inception_v3": {"aux_logits": False, "init_weights": True},
}

SMALL_FAMILIES: dict[str, Callable[..., nn.Module]] = {
    "mobilenetv2": CifarMobileNetV2,
    "shufflenetv1": CifarShuffleNetV1,
    "shufflenetv2": CifarShuffleNetV2,
}
"""The CIFAR networks that come in one size."""


def build_model(name: str, *, classes: int, channels: int, seed: int, side: int | None = None) -> nn.Module:
    """The model `name` in training mode on the CPU; equal arguments give equal weights.

    `side`: of the pictures it shall take, for the models that are built for one (a ViT's position table, a Swin's
    windows); None, or a model that takes any side: as the library builds it. No global random state is moved. Raises
    InvalidRequest on field `model` for an unknown name or pictures that the model cannot take, ValueError for channels
    that the family cannot take.
    """
    card = model_card(name, "model")
    if card.task != "classification":
        raise InvalidRequest("model", f"{name} is a detector, which is built for a canvas.")
    if side is not None:
        takes_pictures(card, side, "model")
    check_data(card, channels, classes, "model")
    family, _, member = card.name.partition("/")
    with own_randomness(seed):
        model = FAMILIES[family](member, classes, channels, side if card.sides.sized else None)
    if card.channels == 3 and channels == 1:
        model.register_forward_pre_hook(repeat_grey)
    return model


def parameter_count(model: nn.Module) -> int:
    """Trainable and frozen parameters together, buffers excluded."""
    return sum(parameter.numel() for parameter in model.parameters())


def _build_cifar(member: str, classes: int, channels: int, _: int | None) -> nn.Module:
    if member in SMALL_FAMILIES:
        return SMALL_FAMILIES[member](classes=classes, channels=channels)
    if member in STACKS:
        return CifarConvolutions(STACKS[member], classes=classes, channels=channels)
    if member.startswith("wrn"):
        return CifarWideResNet(member, classes=classes, channels=channels)
    return CifarResNet(cifar_shape(member), classes=classes, channels=channels)


def _build_timm(member: str, classes: int, channels: int, side: int | None) -> nn.Module:
    import timm

    size: dict[str, Any] = {} if side is None else {"img_size": side}
    model: nn.Module = timm.create_model(member, pretrained=False, num_classes=classes, in_chans=channels, **size)
    return model


def _build_torchvision(member: str, classes: int, channels: int, side: int | None) -> nn.Module:
    import torchvision

    if channels not in (1, 3):
        raise ValueError(f"torchvision models take pictures of 1 or 3 channels, not {channels}")
    size: dict[str, Any] = {} if side is None else {"image_size": side}
    options = TORCHVISION_OPTIONS.get(member, {})
    model: nn.Module = torchvision.models.get_model(member, weights=None, num_classes=classes, **options, **size)
    if channels == 1:
        model.register_forward_pre_hook(repeat_grey)
    return model


def repeat_grey(_: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
    """Grey pictures as three equal channels: a hook, so the model's module names and weights stay the library's."""
    return (inputs[0].expand(-1, 3, -1, -1),)


FAMILIES: dict[str, Callable[[str, int, int, int | None], nn.Module]] = {
    "cifar": _build_cifar,
    "own": build_exported,
    "plugin": build_plugin,
    "timm": _build_timm,
    "torchvision": _build_torchvision,
}
"""How a family builds one of its members, from its name without the family, classes, channels and side."""
