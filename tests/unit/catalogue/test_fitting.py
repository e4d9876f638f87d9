"""Whether tensors are a model's, by names and shapes alone, and which pictures they were made for."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dpk_core.catalogue.fitting import MadeFor, check_pictures, made_for
from dpk_core.catalogue.parameters import LISTED_CLASSES, Parameter, model_parameters
from dpk_core.errors import InvalidRequest

RESNET, VIT = "timm/resnet18", "timm/vit_tiny_patch16_224"

Tensors = dict[str, Parameter]


def tensors(model: str = RESNET, **shapes: tuple[int, ...]) -> Tensors:
    changed = {name.replace("__", "."): Parameter(shape) for name, shape in shapes.items()}
    return {**model_parameters(model), **changed}


def prefixed(prefix: str) -> Tensors:
    return {prefix + name: each for name, each in tensors().items()}


def without(*names: str) -> Tensors:
    return {name: each for name, each in tensors().items() if name not in names}


@pytest.mark.parametrize(
    ("model", "found", "expected"),
    [
        (RESNET, tensors(), MadeFor(classes=LISTED_CLASSES, channels=3)),
        (RESNET, tensors(conv1__weight=(64, 1, 7, 7)), MadeFor(classes=LISTED_CLASSES, channels=1)),
        (RESNET, tensors(fc__weight=(7, 512), fc__bias=(7,)), MadeFor(classes=7, channels=3)),
        (VIT, tensors(VIT), MadeFor(classes=LISTED_CLASSES, channels=3, side=224, refits=True)),
        (VIT, tensors(VIT, pos_embed=(1, 17, 192)), MadeFor(classes=LISTED_CLASSES, channels=3, side=64, refits=True)),
        ("torchvision/resnet18", tensors("torchvision/resnet18"), MadeFor(classes=LISTED_CLASSES)),
    ],
)
def test_shapes_say_what_weights_were_made_for(model: str, found: Tensors, expected: MadeFor) -> None:
    assert made_for(model, found, "w", "weights") == expected


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "timm_model.", "student.backbone."])
def test_a_prefix_before_every_name_is_left_out(prefix: str) -> None:
    assert made_for(RESNET, prefixed(prefix), "w", "weights").prefix == prefix


def test_counters_may_be_missing() -> None:
    counters = [name for name in tensors() if name.endswith("num_batches_tracked")]
    assert counters
    assert made_for(RESNET, without(*counters), "w", "weights") == made_for(RESNET, tensors(), "w", "weights")


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (without("layer4.1.bn2.weight"), "they lack 'layer4.1.bn2.weight'."),
        (without("layer4.1.bn2.weight", "fc.bias"), "they lack 'layer4.1.bn2.weight' and 1 more."),
        (tensors(extra=(1,)), "they hold 'extra', which it does not have."),
        ({}, "they lack 'conv1.weight' and "),
        ({"a": Parameter((1,))}, "and they hold 'a', which"),
        (
            {**prefixed("student."), "teacher.a": Parameter((1,))},
            "their names begin with 'student.'; without it they hold 'teacher.a'",
        ),
        # The same name with and without the prefix: which of the two is meant cannot be known.
        ({**prefixed("module."), "fc.bias": Parameter((1009,))}, "without it they hold 'fc.bias'"),
        (tensors("timm/resnet34"), "they hold 'layer1.2.bn1.bias' and 95 more"),
        (tensors(conv1__weight=(32, 3, 7, 7)), "'conv1.weight' has the shape (32, 3, 7, 7), and the model's has (64,"),
        (tensors(conv1__weight=()), "'conv1.weight' has the shape ()"),
        (tensors(fc__weight=(7, 512)), "'fc.bias' has the shape (1009,), and the model's has (7,)"),
        (tensors(fc__weight=()), "'fc.weight' has the shape ()"),
        (tensors(layer1__0__bn1__weight=(65,)), "'layer1.0.bn1.weight' has the shape (65,)"),
        ({**tensors(), "conv1.weight": Parameter((64, 3, 7, 7), floating=False)}, "are not of the type float16"),
    ],
)
def test_what_differs_first_is_named(found: Tensors, reason: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        made_for(RESNET, found, "w", "teachers[0].weights")
    assert refused.value.field == "teachers[0].weights"
    assert f"The weights w do not fit {RESNET}: " in refused.value.message
    assert reason in refused.value.message


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (MadeFor(classes=2, channels=3, side=64), None),
        (MadeFor(classes=2), None),
        (MadeFor(classes=2, side=224), "made for pictures of 224x224; these are 64x64, .* resized with size=224"),
        (MadeFor(classes=2, side=224, refits=True), None),
        (MadeFor(classes=2, channels=1), "takes pictures of 1 channel; these have 3"),
        (MadeFor(classes=2, channels=4), "takes pictures of 4 channels; these have 3"),
    ],
)
def test_pictures_of_another_kind_are_refused(made: MadeFor, reason: str | None) -> None:
    def check() -> None:
        check_pictures(made, 64, 3, "w", "student.weights")

    refused(check, reason)


@pytest.mark.parametrize(
    ("channels", "reason"), [(3, None), (1, None), (4, "takes pictures of 4 channels; these have 1")]
)
def test_grey_pictures_are_taken_by_weights_for_coloured_ones(channels: int, reason: str | None) -> None:
    refused(lambda: check_pictures(MadeFor(classes=2, channels=channels), 64, 1, "w", "student.weights"), reason)


def refused(check: Callable[[], None], reason: str | None) -> None:
    if reason is None:
        check()
        return
    with pytest.raises(InvalidRequest, match=reason):
        check()
