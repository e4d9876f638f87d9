"""The committed list of heads and published weights against the installed libraries."""

from __future__ import annotations

import json
from importlib import resources

import pytest
import timm

from dpk_core.catalogue.models import model_card, model_names
from dpk_core.catalogue.parameters import Positions, model_parameters, weights_card
from dpk_core.models.published import RESCALING, library, published
from dpk_core.models.weight_inventory import build, describe_weights, entry

FILE = json.loads(resources.files("dpk_core.catalogue").joinpath("model_weights.json").read_text())
SAMPLE = (
    "cifar/resnet20", "cifar/wrn_16_2", "cifar/shufflenetv1", "timm/resnet18", "timm/vit_tiny_patch16_224",
    "timm/levit_128", "timm/gemma4_vit_167m_enc", "torchvision/resnet18", "torchvision/googlenet",
)  # fmt: skip


@pytest.mark.parametrize("name", SAMPLE)
def test_an_entry_is_what_the_library_gives(name: str) -> None:
    found = build(name)
    assert json.loads(json.dumps(entry(describe_weights(name, found)))) == FILE["models"][name]
    assert model_parameters(name) == found.own


def test_every_model_is_there_and_every_classifier_has_a_head() -> None:
    names = [name for name in model_names() if model_card(name, "model").task == "classification"]
    assert sorted(FILE["models"]) == sorted(names)
    headless = {name for name, entry in FILE["models"].items() if not entry["head"]}
    assert headless == {name for name in names if not model_card(name, "model").classifies}


def test_nearly_every_model_of_timm_says_what_its_first_convolution_is() -> None:
    listed = {name: entry for name, entry in FILE["models"].items() if not name.startswith("torchvision/")}
    assert sum("first" in entry for entry in listed.values()) > 0.95 * len(listed)


def test_a_table_of_positions_follows_the_pictures() -> None:
    table = weights_card("timm/vit_tiny_patch16_224", "weights").positions["pos_embed"]
    assert table == Positions(axis=1, extra=1, stride=16, power=2)


def test_what_is_published_is_named() -> None:
    (tag, found), *others = published("timm/resnet18").items()
    assert (tag, found.name, found.classes, found.hub) == ("a1_in1k", "resnet18.a1_in1k", 1000, "timm/resnet18.a1_in1k")
    assert "a2_in1k" in dict(others)
    assert list(published("torchvision/resnet50")) == ["IMAGENET1K_V2", "IMAGENET1K_V1"]
    assert published("torchvision/vit_b_16")["IMAGENET1K_SWAG_E2E_V1"].side == 384
    assert library("timm/resnet18") == f"timm {timm.__version__}"
    assert library("torchvision/resnet18").startswith("torchvision ")


@pytest.mark.parametrize("name", ["cifar/resnet20", "timm/coatnet_0_224", *sorted(RESCALING)])
def test_nothing_is_published_that_could_not_be_kept(name: str) -> None:
    assert published(name) == {}
