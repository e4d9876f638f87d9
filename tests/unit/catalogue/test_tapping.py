"""Which maps are tapped, decided from the cards alone: the deepest that are large enough, or a refusal that helps."""

from __future__ import annotations

from typing import get_args

import pytest

from dpk_core.catalogue.models import PictureSides, model_card
from dpk_core.catalogue.tapping import TappedMap, TappedStage, map_demand, tapped_stages, usable
from dpk_core.dpk_settings import DpkSettings, StageName, StageSettings
from dpk_core.errors import InvalidRequest
from dpk_core.spec import LOGIT_METHODS, MethodName, MethodSpec, TaughtMethodName

DPK = MethodSpec(name="dpk")


def stages(*names: StageName) -> MethodSpec:
    return MethodSpec(name="dpk", dpk=DpkSettings(stages=tuple(StageSettings(name=name, weight=1.0) for name in names)))


def tapped(
    student: str, teacher: str, side: int, method: MethodSpec = DPK, field: str = "teachers[0]"
) -> tuple[TappedStage, ...]:
    return tapped_stages(method, model_card(student, "student"), model_card(teacher, field), side, field)


def sides(found: tuple[TappedStage, ...]) -> list[tuple[int, int]]:
    return [(stage.student.side, stage.teacher.side) for stage in found]


def test_the_deepest_maps_come_first_and_small_ones_are_left_out() -> None:
    assert usable([16, 8, 4, 2, 1], 2) == (3, 2, 1, 0)
    assert usable([16, 8, 4, 2, 1], 1) == (4, 3, 2, 1, 0)
    assert usable([1], 2) == ()


def test_each_network_gives_its_own_deepest_maps() -> None:
    assert tapped("cifar/resnet8", "timm/resnet18", 32) == (
        TappedStage(
            stage="last",
            student=TappedMap(module="stages.2", channels=64, side=8),
            teacher=TappedMap(module="layer3", channels=256, side=2),
        ),
        TappedStage(
            stage="second_last",
            student=TappedMap(module="stages.1", channels=32, side=16),
            teacher=TappedMap(module="layer2", channels=128, side=4),
        ),
    )
    deeper = tapped("cifar/resnet8", "timm/resnet18", 64)
    assert [stage.teacher.module for stage in deeper] == ["layer4", "layer3"]


@pytest.mark.parametrize(
    ("name", "maps"),
    [
        ("timm/resnet18", ["layer3", "layer2"]),
        ("timm/efficientnet_b0", ["blocks.4", "blocks.2"]),
        ("timm/mobilenetv3_small_050", ["blocks.3", "blocks.1"]),
        ("torchvision/mobilenet_v3_small", ["features.8", "features.3"]),
        ("timm/convnext_atto", ["stages.2", "stages.1"]),
        ("timm/swin_tiny_patch4_window7_224", ["layers.2", "layers.1"]),
        ("torchvision/swin_t", ["features.5", "features.3"]),
    ],
)
@pytest.mark.parametrize("role", ["student", "teacher"])
def test_models_of_stride_32_are_tapped_on_pictures_of_32(name: str, maps: list[str], role: str) -> None:
    pair = (name, "cifar/resnet8") if role == "student" else ("cifar/resnet8", name)
    found = [getattr(stage, role) for stage in tapped(*pair, 32)]
    assert [tap.module for tap in found] == maps
    assert [tap.side for tap in found] == [2, 4]


def test_a_map_s_side_follows_the_model_s_rounding() -> None:
    (last, second), (_, before) = (tapped("timm/convnext_atto", "timm/resnet18", side) for side in (60, 33))
    assert (last.student.side, second.student.side) == (3, 7), "rounded down at every stage"
    assert (last.teacher.side, second.teacher.side) == (2, 4), "rounded up"
    assert (before.student.side, before.teacher.side) == (4, 3)


@pytest.mark.parametrize("side", [4, 8, 28])
def test_small_pictures_are_taken_where_two_maps_are_left(side: int) -> None:
    assert min(min(pair) for pair in sides(tapped("cifar/resnet8", "cifar/resnet20", side))) >= 2


def test_as_many_stages_as_are_asked_for() -> None:
    assert sides(tapped("cifar/resnet8", "timm/resnet18", 32, stages("last"))) == [(8, 2)]
    assert sides(tapped("cifar/resnet8", "timm/resnet18", 32, stages("third_last", "last"))) == [(8, 2), (32, 8)]
    found = tapped("timm/resnet18", "timm/resnet18", 32, stages("fourth_last", "last"))
    assert [stage.stage for stage in found] == ["last", "fourth_last"]


def test_the_hint_of_fitnet_is_the_second_last_map() -> None:
    (hint,) = tapped("cifar/resnet8", "timm/resnet18", 32, MethodSpec(name="fitnet"))
    assert (hint.stage, hint.student.module, hint.teacher.module) == ("second_last", "stages.1", "layer2")


@pytest.mark.parametrize("method", get_args(TaughtMethodName))
def test_only_methods_that_need_maps_ask_for_them(method: MethodName) -> None:
    demand = map_demand(MethodSpec(name=method))
    assert (demand is None) == (method in LOGIT_METHODS)
    assert bool(tapped("cifar/resnet8", "timm/resnet18", 32, MethodSpec(name=method))) == (demand is not None)


@pytest.mark.parametrize("method", ["sp", "rkd", "crd"])
def test_methods_that_look_at_the_last_map_take_it_whatever_its_size(method: MethodName) -> None:
    assert sides(tapped("cifar/resnet8", "timm/resnet18", 32, MethodSpec(name=method))) == [(8, 1)]


@pytest.mark.parametrize("method", ["at", "reviewkd"])
def test_methods_of_many_stages_take_as_many_as_both_have(method: MethodName) -> None:
    assert sides(tapped("cifar/resnet8", "timm/resnet18", 32, MethodSpec(name=method))) == [(8, 2), (16, 4), (32, 8)]


@pytest.mark.parametrize(
    ("student", "teacher", "side", "field", "message"),
    [
        ("timm/resnet18", "cifar/resnet8", 4, "student",
         "Method dpk with stage second_last needs two feature maps of at least 2x2. On 4x4 pictures timm/resnet18 has "
         "one; on 8x8 it has two; method kd needs none."),
        ("cifar/resnet8", "timm/vit_tiny_patch16_224", 16, "teachers[0]",
         "Method dpk with stage second_last needs two feature maps of at least 2x2. On 16x16 pictures "
         "timm/vit_tiny_patch16_224 has none; on 32x32 it has two; method kd needs none."),
        ("cifar/resnet8", "timm/tnt_s_legacy_patch16_224", 224, "teachers[0]",
         "timm/tnt_s_legacy_patch16_224 has no feature maps to tap: it gives a single feature map. Method kd needs "
         "none."),
    ],
)  # fmt: skip
def test_a_refusal_names_a_picture_size_or_a_method_that_works(
    student: str, teacher: str, side: int, field: str, message: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        tapped(student, teacher, side)
    assert (refused.value.field, refused.value.message) == (field, message)
    assert tapped(student, teacher, side, MethodSpec(name="kd")) == ()


def test_a_stage_that_no_picture_size_gives_leaves_the_other_method() -> None:
    with pytest.raises(InvalidRequest) as refused:
        tapped("cifar/plain4", "cifar/resnet20", 32, stages("third_last"))
    assert refused.value.message == (
        "Method dpk with stage third_last needs three feature maps of at least 2x2. On 32x32 pictures cifar/plain4 has "
        "two; method kd needs none."
    )


@pytest.mark.parametrize(
    ("student", "teacher", "side", "field", "reason"),
    [
        ("timm/tnt_s_patch16_224", "cifar/resnet8", 224, "student", "has no feature maps to tap"),
        ("cifar/resnet8", "torchvision/maxvit_t", 32, "teachers[0]", "takes only 224x224 pictures, not 32x32"),
        ("timm/vit_base_patch16_224", "cifar/resnet8", 12, "student", "takes pictures from 16x16 up, not 12x12"),
        ("cifar/resnet8", "timm/vit_base_patch16_224", 40, "teachers[0]", "side is a multiple of 16, not 40x40"),
        ("cifar/resnet8", "torchvision/inception_v3", 64, "teachers[0]", "takes pictures from 75x75 up"),
    ],
)
def test_pictures_that_a_model_does_not_take_are_refused_first(
    student: str, teacher: str, side: int, field: str, reason: str
) -> None:
    with pytest.raises(InvalidRequest, match=reason) as refused:
        tapped(student, teacher, side)
    assert refused.value.field == field


@pytest.mark.parametrize("limits", [PictureSides(), PictureSides(only=8), PictureSides(least=8, step=4)])
def test_pictures_that_fit_are_not_refused(limits: PictureSides) -> None:
    assert limits.refusal(8) is None
