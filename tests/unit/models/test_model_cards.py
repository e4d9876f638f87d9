"""Model cards: true to the models, and helpful to those who mistype."""

import subprocess
import sys

import pytest
import torch

from dpk_core.catalogue.cifar_models import CIFAR_MODELS
from dpk_core.catalogue.models import PictureSides, common_taps, model_card, model_names, takes_pictures
from dpk_core.errors import InvalidRequest
from dpk_core.models.build import build_model
from dpk_core.models.taps import FeatureTaps


@pytest.mark.parametrize("name", [f"cifar/{name}" for name in CIFAR_MODELS])
def test_cifar_cards_tell_the_maps_that_the_models_give(name: str) -> None:
    card = model_card(name, "student")
    with torch.device("meta"):
        model = build_model(name, classes=10, channels=3, seed=0)
        pictures = torch.zeros(2, 3, 32, 32)
    with FeatureTaps(model, [tap.module for tap in card.taps]) as taps:
        model(pictures)
    for tap, found in zip(card.taps, taps.maps, strict=True):
        assert found.shape == (2, tap.channels, tap.side(32), tap.side(32))


def test_names_are_sorted_and_carry_their_family() -> None:
    names = model_names()
    assert list(names) == sorted(names)
    assert {name.partition("/")[0] for name in names} == {"cifar", "timm", "torchvision"}
    assert len(names) > 1300


@pytest.mark.parametrize(
    ("name", "second_last", "last"),
    [("resnet20", 16, 8), ("wrn_40_2", 16, 8), ("vgg13", 8, 4), ("mobilenetv2", 4, 2), ("shufflenetv1", 8, 4)],
)
def test_the_last_two_maps_of_cifar_pictures(name: str, second_last: int, last: int) -> None:
    assert [tap.side(32) for tap in model_card(f"cifar/{name}", "student").taps[-2:]] == [second_last, last]


@pytest.mark.parametrize("member", ["wrn_16_2", "wrn_40_1", "wrn_40_2"])
def test_wide_networks_are_tapped_behind_the_norm_that_follows_a_stage(member: str) -> None:
    model = build_model(f"cifar/{member}", classes=10, channels=3, seed=0)
    taps = model_card(f"cifar/{member}", "student").taps
    assert [tap.module for tap in taps] == ["stages.1.0.norm1", "stages.2.0.norm1", "norm"]
    pictures = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), FeatureTaps(model, ["stages.0", "stages.1", "stages.2"]) as sums:
        model(pictures)
    with torch.no_grad(), FeatureTaps(model, taps) as tapped:
        model(pictures)
    for tap, sum_BCHW, map_BCHW in zip(taps, sums.maps, tapped.maps, strict=True):
        assert torch.equal(map_BCHW, model.get_submodule(tap.module)(sum_BCHW))


def test_two_models_with_maps_have_common_taps() -> None:
    common_taps(model_card("cifar/resnet8w4", "student"), model_card("timm/resnet18", "teachers[0]"), 64, "teachers[0]")


@pytest.mark.parametrize(
    ("student", "teacher", "side", "field", "reason"),
    [
        ("cifar/resnet8", "timm/tnt_s_patch16_224", 224, "teachers[0]", "has no feature maps to tap"),
        ("timm/tnt_s_patch16_224", "cifar/resnet8", 224, "student", "has no feature maps to tap"),
        ("cifar/resnet8", "torchvision/maxvit_t", 32, "teachers[0]", "takes only 224x224 pictures, not 32x32"),
        ("timm/vit_base_patch16_224", "cifar/resnet8", 28, "student", "takes pictures from 32x32 up, not 28x28"),
        ("cifar/resnet8", "timm/vit_base_patch16_224", 40, "teachers[0]", "side is a multiple of 16, not 40x40"),
        ("cifar/resnet8", "torchvision/inception_v3", 64, "teachers[0]", "takes pictures from 135x135 up"),
        ("cifar/resnet8", "timm/resnet18", 32, "teachers[0]", "the last feature map of timm/resnet18 is 1x1"),
    ],
)
def test_what_cannot_be_stitched_is_refused(student: str, teacher: str, side: int, field: str, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason) as caught:
        common_taps(model_card(student, "student"), model_card(teacher, "teachers[0]"), side, "teachers[0]")
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("teacher", "side"),
    [("timm/vit_base_patch16_224", 32), ("torchvision/maxvit_t", 224), ("timm/swin_tiny_patch4_window7_224", 64)],
)
def test_transformers_go_with_convolutional_networks_where_the_pictures_fit(teacher: str, side: int) -> None:
    common_taps(model_card("cifar/resnet8", "student"), model_card(teacher, "teachers[0]"), side, "teachers[0]")


def test_pictures_are_refused_whatever_the_method() -> None:
    takes_pictures(model_card("cifar/resnet8", "student"), 9, "student")
    with pytest.raises(InvalidRequest, match="maxvit_t takes only 224x224") as caught:
        takes_pictures(model_card("torchvision/maxvit_t", "x"), 64, "teachers[3]")
    assert caught.value.field == "teachers[3]"


@pytest.mark.parametrize("sides", [PictureSides(), PictureSides(only=8), PictureSides(least=8, step=4)])
def test_pictures_that_fit_are_not_refused(sides: PictureSides) -> None:
    assert sides.refusal(8) is None


def test_cards_are_read_without_torch() -> None:
    script = (
        "import sys; from dpk_core.catalogue.models import model_names; model_names(); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_what_is_offered_in_place_of_a_refused_model_takes_the_pictures() -> None:
    with pytest.raises(InvalidRequest) as refused:
        takes_pictures(model_card("torchvision/maxvit_t", "x"), 64, "x")
    assert refused.value.nearest == "cifar/resnet20"
    with pytest.raises(InvalidRequest) as refused:
        common_taps(model_card("cifar/resnet8", "x"), model_card("cifar/resnet20", "x"), 4, "x")
    assert refused.value.nearest is None
