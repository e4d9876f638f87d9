"""Models by name: sizes of the literature, own randomness, any channels."""

import pytest
import torch

from dpk_core.catalogue.cifar_models import CIFAR_MODELS
from dpk_core.errors import InvalidRequest
from dpk_core.models.build import build_model, parameter_count
from dpk_core.models.initialisation import own_randomness

SMALL = (
    *(f"cifar/{name}" for name in CIFAR_MODELS if name not in ("resnet110", "resnet32x4", "vgg13")),
    "timm/resnet10t", "torchvision/squeezenet1_1", "torchvision/mobilenet_v3_small",
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("resnet20", 0.278324),
        ("resnet56", 0.86162),
        ("resnet110", 1.736564),
        ("resnet8x4", 1.23354),
        ("resnet32x4", 7.43386),
        ("wrn_16_2", 0.703284),
        ("wrn_40_1", 0.56978),
        ("wrn_40_2", 2.255156),
        ("vgg8", 3.965028),
        ("vgg13", 9.46218),
        ("mobilenetv2", 0.812836),
        ("shufflenetv1", 0.949258),
        ("shufflenetv2", 1.355528),
    ],
)
def test_cifar_networks_have_the_sizes_of_the_literature(name: str, millions: float) -> None:
    assert parameter_count(build_model(f"cifar/{name}", classes=100, channels=3, seed=0)) == round(millions * 1e6)


@pytest.mark.parametrize("layers", [2, 4, 6, 8, 10])
def test_plain_networks_have_as_many_convolutions_as_their_name_says(layers: int) -> None:
    model = build_model(f"cifar/plain{layers}", classes=100, channels=3, seed=0)
    assert sum(isinstance(module, torch.nn.Conv2d) for module in model.modules()) == layers


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("channels", [1, 3])
def test_gives_logits_for_grey_and_colour_pictures(name: str, channels: int) -> None:
    model = build_model(name, classes=7, channels=channels, seed=0).eval()
    side = 8 if name.startswith("cifar/") else 64
    with torch.no_grad():
        assert model(torch.zeros(2, channels, side, side)).shape == (2, 7)


def test_grey_pictures_are_repeated_for_torchvision() -> None:
    grey = build_model("torchvision/squeezenet1_1", classes=7, channels=1, seed=0).eval()
    colour = build_model("torchvision/squeezenet1_1", classes=7, channels=3, seed=0).eval()
    picture = torch.randn(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    assert grey.state_dict().keys() == colour.state_dict().keys()
    assert torch.equal(grey(picture), colour(picture.repeat(1, 3, 1, 1)))


@pytest.mark.parametrize("name", ["torchvision/inception_v3", "torchvision/googlenet"])
def test_models_with_auxiliary_classifiers_give_plain_logits_in_training(name: str) -> None:
    with torch.device("meta"):
        logits = build_model(name, classes=7, channels=3, seed=0)(torch.zeros(2, 3, 299, 299, device="meta"))
    assert logits.shape == (2, 7)


def test_other_channels_are_refused_for_torchvision() -> None:
    with pytest.raises(ValueError, match="1 or 3 channels, not 2"):
        build_model("torchvision/resnet18", classes=7, channels=2, seed=0)


@pytest.mark.parametrize("name", ["cifar/resnet8", "timm/resnet10t", "torchvision/squeezenet1_1"])
def test_weights_are_decided_by_the_seed_alone(name: str) -> None:
    first = build_model(name, classes=7, channels=1, seed=1).state_dict()
    torch.rand(10)
    again = build_model(name, classes=7, channels=1, seed=1).state_dict()
    other = build_model(name, classes=7, channels=1, seed=2).state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize("name", ["cifar/resnet8", "timm/resnet10t", "torchvision/squeezenet1_1"])
def test_building_moves_no_global_random_state(name: str) -> None:
    before = torch.get_rng_state()
    build_model(name, classes=7, channels=1, seed=1)
    assert torch.equal(before, torch.get_rng_state())


def test_own_randomness_is_put_back_after_an_error() -> None:
    before = torch.get_rng_state()
    with pytest.raises(RuntimeError), own_randomness(3):
        torch.rand(-1)
    assert torch.equal(before, torch.get_rng_state())


def test_an_unknown_name_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(InvalidRequest, match="cifar/resnet20") as caught:
        build_model("cifar/resnet20x", classes=7, channels=1, seed=1)
    assert caught.value.field == "model"


@pytest.mark.parametrize("name", ["timm/vit_tiny_patch16_224", "torchvision/vit_b_16"])
def test_a_model_that_must_be_told_is_built_for_its_pictures(name: str) -> None:
    with torch.device("meta"):
        small = build_model(name, classes=7, channels=3, seed=0, side=32).eval()
        own = build_model(name, classes=7, channels=3, seed=0).eval()
        assert small(torch.zeros(2, 3, 32, 32)).shape == (2, 7)
        assert own(torch.zeros(2, 3, 224, 224)).shape == (2, 7)
        with pytest.raises(AssertionError):
            own(torch.zeros(2, 3, 32, 32))


def test_a_model_for_any_pictures_is_the_same_whatever_side_is_named() -> None:
    plain, sized = (build_model("timm/resnet10t", classes=7, channels=1, seed=1, side=side) for side in (None, 64))
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), sized.parameters(), strict=True))


def test_pictures_that_the_model_cannot_take_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="multiple of 16, not 40x40"):
        build_model("timm/vit_tiny_patch16_224", classes=7, channels=1, seed=1, side=40)
