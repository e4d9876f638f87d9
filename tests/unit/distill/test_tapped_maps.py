"""The maps that pre-flight names are the ones that are tapped; and models whose last map is 1x1 are taught by DPK."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from dpk_core.catalogue.models import model_card
from dpk_core.catalogue.tapping import TappedStage, tapped_stages
from dpk_core.distill.build import build_method
from dpk_core.distill.inputs import MethodInputs, Taps, deepest_taps
from dpk_core.distill.method import StepContext
from dpk_core.errors import InvalidRequest
from dpk_core.models.build import build_model
from dpk_core.models.inventory import build_on_meta
from dpk_core.spec import MethodSpec

SAMPLE = (
    "cifar/resnet20", "cifar/vgg8", "cifar/mobilenetv2", "timm/resnet18", "timm/mobilenetv3_small_050",
    "timm/efficientnet_b0", "timm/convnext_atto", "timm/swin_tiny_patch4_window7_224", "timm/vit_tiny_patch16_224",
    "timm/mvitv2_tiny", "timm/regnetx_002", "torchvision/swin_t", "torchvision/vgg11_bn", "torchvision/squeezenet1_1",
    "torchvision/alexnet", "torchvision/googlenet",
)  # fmt: skip
SIDES = (28, 60, 224)
AT = MethodSpec(name="at")
"""It taps as many maps of at least 2x2 as there are, up to four."""


def taken() -> Iterator[tuple[str, int]]:
    for name in SAMPLE:
        yield from ((name, side) for side in SIDES if model_card(name, "x").sides.refusal(side) is None)


def seen(name: str, side: int) -> Taps:
    family, _, member = name.partition("/")
    model = build_on_meta(family, member, side if model_card(name, "x").sides.sized else None)
    return deepest_taps(
        MethodInputs(
            spec=AT, student=model, student_name=name, teacher=model, teacher_name=name, picture_shape=(3, side, side),
            training_labels=None, seed=0,
        )
    )  # fmt: skip


def foreseen(name: str, side: int) -> tuple[TappedStage, ...]:
    card = model_card(name, "x")
    return tapped_stages(AT, card, card, side, "teacher")


@pytest.mark.parametrize(("name", "side"), list(taken()))
def test_the_maps_that_are_foreseen_are_the_maps_that_are_tapped(name: str, side: int) -> None:
    expected, taps = foreseen(name, side), seen(name, side)
    assert [tap.module for tap in taps.student] == [stage.student.module for stage in expected]
    shapes = [(2, stage.student.channels, stage.student.side, stage.student.side) for stage in expected]
    assert [tuple(shape) for shape in taps.student_shapes] == shapes


def test_what_is_refused_in_advance_is_refused_with_the_maps_at_hand() -> None:
    messages = []
    for refuse in (foreseen, seen):
        with pytest.raises(InvalidRequest) as refused:
            refuse("timm/resnet18", 2)
        messages.append(refused.value.message)
    assert messages[0] == messages[1]


SMALL_LAST_MAPS = (
    "timm/resnet18", "timm/mobilenetv3_small_050", "timm/efficientnet_b0", "timm/convnext_atto", "torchvision/swin_t",
    "timm/swin_tiny_patch4_window7_224",
)  # fmt: skip


@pytest.mark.parametrize("role", ["student", "teacher"])
@pytest.mark.parametrize("name", SMALL_LAST_MAPS)
def test_a_model_whose_last_map_is_one_position_is_a_student_and_a_teacher(name: str, role: str) -> None:
    student, teacher = (name, "cifar/resnet8") if role == "student" else ("cifar/resnet8", name)
    method = build_method(
        MethodSpec(name="dpk"),
        student=build_model(student, classes=10, channels=3, seed=0, side=32), student_name=student,
        teacher=build_model(teacher, classes=10, channels=3, seed=1, side=32), teacher_name=teacher,
        picture_shape=(3, 32, 32), seed=5,
    )  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    pictures_BCHW = torch.randn(8, 3, 32, 32, generator=generator)
    done = method(pictures_BCHW, torch.arange(8), StepContext(seed=3, step=0, total_steps=4))
    done.loss.backward()
    assert done.loss.isfinite()
    assert done.parts["loss_features"].item() > 0
    assert 0 <= done.parts["share.last"].item() <= 1
    gradients = [parameter.grad for parameter in method.student.parameters() if parameter.grad is not None]
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert any(gradient.any() for gradient in gradients)
