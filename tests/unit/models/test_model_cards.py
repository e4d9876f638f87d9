"""Model cards: true to the models, and helpful to those who mistype."""

import functools
import subprocess
import sys

import pytest
import torch
from torch import nn

from dpk_core.catalogue.cifar_models import CIFAR_MODELS
from dpk_core.catalogue.models import model_card, model_names, takes_pictures
from dpk_core.errors import InvalidRequest
from dpk_core.models.build import build_model
from dpk_core.models.taps import FeatureTaps


@functools.cache
def on_meta(name: str) -> nn.Module:
    """The model without weights, for all sides of pictures."""
    with torch.device("meta"):
        return build_model(name, classes=10, channels=3, seed=0)


@pytest.mark.parametrize("side", [27, 32])
@pytest.mark.parametrize("name", [f"cifar/{name}" for name in CIFAR_MODELS])
def test_cifar_cards_tell_the_maps_that_the_models_give(name: str, side: int) -> None:
    card = model_card(name, "student")
    model, pictures = on_meta(name), torch.zeros(2, 3, side, side, device="meta")
    with FeatureTaps(model, [tap.module for tap in card.taps]) as taps:
        model(pictures)
    for tap, found in zip(card.taps, taps.maps, strict=True):
        assert found.shape == (2, tap.channels, tap.side(side), tap.side(side))


def test_names_are_sorted_and_carry_their_family() -> None:
    names = model_names()
    assert list(names) == sorted(names)
    assert {name.partition("/")[0] for name in names} == {"cifar", "timm", "torchvision", "detection"}
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


def test_pictures_are_refused_whatever_the_method() -> None:
    takes_pictures(model_card("cifar/resnet8", "student"), 9, "student")
    with pytest.raises(InvalidRequest, match="maxvit_t takes only 224x224") as caught:
        takes_pictures(model_card("torchvision/maxvit_t", "x"), 64, "teachers[3]")
    assert caught.value.field == "teachers[3]"


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
        takes_pictures(model_card("torchvision/maxvit_t", "x"), 2, "x")
    assert refused.value.nearest is None
