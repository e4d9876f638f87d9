"""Model cards: true to the models, and helpful to those who mistype."""

import subprocess
import sys

import pytest
import torch

from dpk_core.catalogue.models import CIFAR_RESNETS, common_taps, model_card, model_names
from dpk_core.errors import InvalidRequest
from dpk_core.models.build import build_model
from dpk_core.models.taps import FeatureTaps


@pytest.mark.parametrize("name", [f"cifar/{name}" for name in CIFAR_RESNETS])
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
    ("typed", "nearest"),
    [
        ("cifar/resnet20x", "cifar/resnet20"),
        ("resnet20", "cifar/resnet20"),
        ("timm/resnet56", "cifar/resnet56"),
        ("timm/resnet18d_", "timm/resnet18d"),
        ("torchvision/resnet-18", "torchvision/resnet18"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(typed: str, nearest: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        model_card(typed, "teachers[1]")
    assert (caught.value.field, caught.value.nearest) == ("teachers[1]", nearest)
    assert f"There is no model {typed!r}." in str(caught.value)


def test_two_models_with_maps_have_common_taps() -> None:
    common_taps(model_card("cifar/resnet8w4", "student"), model_card("timm/resnet18", "teachers[0]"), 64, "teachers[0]")


@pytest.mark.parametrize(
    ("student", "teacher", "side", "field", "reason"),
    [
        ("cifar/resnet8", "timm/vit_base_patch16_224", 32, "teachers[0]", "has no feature maps to tap"),
        ("timm/vit_base_patch16_224", "cifar/resnet8", 32, "student", "has no feature maps to tap"),
        ("cifar/resnet8", "torchvision/swin_t", 64, "teachers[0]", "fewer than two feature maps"),
        ("cifar/resnet8", "timm/resnet18", 32, "teachers[0]", "the last feature map of timm/resnet18 is 1x1"),
    ],
)
def test_what_cannot_be_stitched_is_refused(student: str, teacher: str, side: int, field: str, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason) as caught:
        common_taps(model_card(student, "student"), model_card(teacher, "teachers[0]"), side, "teachers[0]")
    assert caught.value.field == field


def test_cards_are_read_without_torch() -> None:
    script = (
        "import sys; from dpk_core.catalogue.models import model_names; model_names(); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
