"""Names as the libraries print them, and what is offered for those that nobody knows."""

from __future__ import annotations

import pytest

from dpk_core.catalogue.models import model_card
from dpk_core.catalogue.names import canonical
from dpk_core.errors import InvalidRequest

DEFAULT, OTHER = ("timm/resnet50", "pretrained"), ("timm/resnet50", "a2_in1k")


@pytest.mark.parametrize(
    ("model", "weights", "read"),
    [
        ("timm/resnet50", "random", ("timm/resnet50", "random")),
        ("timm/resnet50.a1_in1k", "random", DEFAULT),
        ("timm/resnet50.a1_in1k", "pretrained", DEFAULT),
        ("resnet50.a1_in1k", "random", DEFAULT),
        ("hf-hub:timm/resnet50.a1_in1k", "random", DEFAULT),
        ("hf_hub:timm/resnet50.a1_in1k", "random", DEFAULT),
        ("https://huggingface.co/timm/resnet50.a1_in1k", "random", DEFAULT),
        ("timm/ResNet50", "A1_in1k", DEFAULT),
        ("timm/resnet50.a2_in1k", "random", OTHER),
        ("timm/resnet50.a2_in1k", "pretrained", OTHER),
        ("timm/resnet50", "a2_in1k", OTHER),
        ("timm/resnet50.a2_in1k", "a1_in1k", DEFAULT),
        ("timm/resnet50.a2_in1k", "file:x.y", ("timm/resnet50", "file:x.y")),
        ("timm/resnet50.a9_in1k", "random", ("timm/resnet50", "a9_in1k")),
        ("ResNet50_Weights.IMAGENET1K_V2", "random", ("torchvision/resnet50", "pretrained")),
        ("torchvision/ResNet50_Weights.DEFAULT", "random", ("torchvision/resnet50", "pretrained")),
        ("ViT_B_16_Weights", "random", ("torchvision/vit_b_16", "pretrained")),
        ("torchvision/resnet50", "IMAGENET1K_V1", ("torchvision/resnet50", "IMAGENET1K_V1")),
        ("torchvision/resnet50", "ResNet50_Weights.IMAGENET1K_V1", ("torchvision/resnet50", "IMAGENET1K_V1")),
        ("resnet20", "random", ("cifar/resnet20", "random")),
        ("convnext_nano", "pretrained", ("timm/convnext_nano", "pretrained")),
        # Two families have it, so it stays as it is.
        ("resnet50", "pretrained", ("resnet50", "pretrained")),
        ("timm/qqqq.a1_in1k", "random", ("timm/qqqq.a1_in1k", "random")),
        ("", "random", ("", "random")),
        ("/", "x", ("/", "x")),
    ],
)
def test_a_printed_name_is_read_in_our_words(model: str, weights: str, read: tuple[str, str]) -> None:
    assert canonical(model, weights) == read


@pytest.mark.parametrize("name", ["timm/resnet50@pretrained", "torchvision/resnet18", "cifar/vgg8@file:a.b"])
def test_our_own_words_stay(name: str) -> None:
    model, _, weights = name.partition("@")
    assert canonical(model, weights or "random") == (model, weights or "random")


@pytest.mark.parametrize(
    ("typed", "nearest"),
    [
        ("cifar/resnet20x", "cifar/resnet20"),
        ("resnet50", "timm/resnet50"),
        ("timm/resnet56", "timm/resnet50"),
        ("timm/resnet18d_", "timm/resnet18d"),
        ("torchvision/resnet-18", "torchvision/resnet18"),
        ("timm/qqqq", None),
        ("qqqq", None),
    ],
)
def test_what_is_offered_is_of_the_same_family(typed: str, nearest: str | None) -> None:
    with pytest.raises(InvalidRequest) as caught:
        model_card(typed, "teachers[1]")
    assert (caught.value.field, caught.value.nearest) == ("teachers[1]", nearest)
    assert f"There is no model {typed!r}." in str(caught.value)
    assert ("Models are named" in str(caught.value)) == (nearest is None)
