"""The committed list of library models against the libraries themselves."""

import json
from importlib import resources
from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn

from dpk_core.catalogue.models import model_card, model_names
from dpk_core.models.inventory import describe, library_names, write
from dpk_core.models.trace import NoTaps, declared_taps, found_taps, stride_of

FILE = json.loads(resources.files("dpk_core.catalogue").joinpath("library_models.json").read_text())
SAMPLE = (
    "timm/resnet18", "timm/efficientnet_b0", "timm/convnext_tiny", "timm/vit_tiny_patch16_224", "timm/regnetx_002",
    "torchvision/resnet50", "torchvision/densenet121", "torchvision/vgg11_bn", "torchvision/mobilenet_v3_small",
    "torchvision/swin_t",
)  # fmt: skip


@pytest.mark.parametrize("name", SAMPLE)
def test_an_entry_is_what_the_library_gives(name: str) -> None:
    assert json.loads(json.dumps(describe(name))) == FILE["models"][name]


def test_every_classifier_of_both_libraries_is_there() -> None:
    assert sorted(FILE["models"]) == library_names()
    assert {f"torchvision/{name}" for name in torchvision.models.list_models(module=torchvision.models)} <= set(
        model_names()
    )


def test_most_models_can_be_tapped_and_the_others_say_why() -> None:
    entries = FILE["models"].values()
    assert sum(len(entry["taps"]) >= 2 for entry in entries) > 700
    assert all(entry["taps"] or entry["obstacle"] for entry in entries)
    assert all(strides == sorted(set(strides)) for strides in ([tap[2] for tap in entry["taps"]] for entry in entries))


def test_resnet_taps_are_its_stages() -> None:
    for name in ("timm/resnet18", "torchvision/resnet18"):
        taps = model_card(name, "student").taps[-2:]
        assert [(tap.module, tap.channels, tap.stride) for tap in taps] == [("layer3", 256, 16), ("layer4", 512, 32)]


def test_the_file_has_one_model_a_line(tmp_path: Path) -> None:
    target = tmp_path / "models.json"
    write([("timm/a", {"taps": [("x", 3, 2)]}), ("timm/b", {"taps": [], "obstacle": "none"})], target)
    assert json.loads(target.read_text())["models"]["timm/a"] == {"taps": [["x", 3, 2]]}
    assert len(target.read_text().splitlines()) == 4


def test_a_model_that_cannot_run_gets_an_obstacle(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> nn.Module:
        raise KeyError("no")

    monkeypatch.setitem(describe.__globals__["FAMILIES"], "timm", broken)
    assert describe("timm/resnet18") == {"taps": [], "obstacle": "it does not run on the meta device (KeyError)"}


class Plain(nn.Module):
    """Two maps, one of them changed in place afterwards, a pooled vector and class scores."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4))
        self.inplace = nn.ReLU(inplace=True)
        self.second = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(4, 6, 1), nn.ReLU())
        self.drop = nn.Dropout()
        self.scores = nn.Sequential(nn.ReLU(), nn.Conv2d(6, 11, 1), nn.ReLU())
        self.pool = nn.AdaptiveAvgPool2d(4)
        self.after = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.after(self.pool(self.scores(self.drop(self.second(self.inplace(self.first(x)))))))


def plain() -> nn.Module:
    with torch.device("meta"):
        return Plain().eval()


def test_found_taps_are_the_deepest_lasting_maps_before_pooling_and_scores() -> None:
    assert found_taps(plain(), (32, 32), classes=11) == [("inplace", 4, 1), ("scores.0", 6, 2)]


def test_declared_taps_must_be_maps_of_the_declared_channels() -> None:
    declared = [("inplace", 4), ("second", 6), ("pool", 99), ("missing", 3)]
    assert declared_taps(plain(), (32, 32), declared) == [("inplace", 4, 1), ("second", 6, 2)]
    with pytest.raises(NoTaps, match="declares no feature maps"):
        declared_taps(plain(), (32, 32), [])
    with pytest.raises(NoTaps, match="no part of its forward pass"):
        declared_taps(plain(), (32, 32), [("missing", 3)])


@pytest.mark.parametrize(
    ("picture", "side", "stride"), [(224, 7, 32), (299, 38, 8), (299, 37, 8), (331, 11, 32), (299, 35, 9), (8, 8, 1)]
)
def test_strides_are_powers_of_two_where_that_fits(picture: int, side: int, stride: int) -> None:
    assert stride_of(picture, side) == stride
