"""The committed list of library models against the libraries themselves."""

import json
from importlib import resources
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from dpk_core.catalogue.models import model_card, model_names
from dpk_core.models.inventory import describe, library_names, write
from dpk_core.models.layout import stride_of
from dpk_core.models.picture_sides import picture_sides
from dpk_core.models.trace import (
    NoTaps,
    TapEntry,
    declared_taps,
    found_taps,
    gives_scores,
    two_thirds_down,
)

FILE = json.loads(resources.files("dpk_core.catalogue").joinpath("library_models.json").read_text())
SAMPLE = (
    "timm/resnet18", "timm/convnext_tiny", "timm/vit_tiny_patch16_224", "timm/mvitv2_tiny", "timm/tnt_s_patch16_224",
    "torchvision/vgg11_bn", "torchvision/mobilenet_v3_small", "torchvision/swin_t", "torchvision/inception_v3",
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
    assert sum(len(entry["taps"]) >= 2 for entry in entries) > 1400
    assert all(len(entry["taps"]) >= 2 or entry["obstacle"] for entry in entries)


def test_there_is_one_tap_a_resolution_or_two_where_there_is_but_one() -> None:
    for entry in FILE["models"].values():
        strides = [tap[2] for tap in entry["taps"]]
        assert strides == sorted(strides)
        assert len(set(strides)) == len(strides) or (len(strides), len(set(strides))) == (2, 1)


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


@pytest.mark.parametrize(("blocks", "index"), [(12, 7), (24, 15), (3, 1), (2, 0)])
def test_the_second_tap_of_one_resolution_is_two_thirds_down(blocks: int, index: int) -> None:
    assert two_thirds_down(blocks) == index


class Blocks(nn.Module):
    """Maps of one stride from a sequence inside a part, and a norm behind them; `side` is all it takes, unless None."""

    def __init__(self, blocks: int, side: int | None = None) -> None:
        super().__init__()
        self.side = side
        self.patches = nn.Conv2d(3, 6, 4, 4)
        self.encoder = nn.Module()
        self.encoder.layers = nn.Sequential(*(nn.ReLU() for _ in range(blocks)))
        self.norm = nn.BatchNorm2d(6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.side not in (None, x.shape[2]):
            raise ValueError(x.shape)
        x = self.norm(self.get_submodule("encoder.layers")(self.patches(x)))
        return x.mean(dim=(2, 3))


def blocks(count: int, side: int | None = None) -> nn.Module:
    with torch.device("meta"):
        return Blocks(count, side).eval()


def test_of_one_resolution_two_blocks_are_tapped() -> None:
    assert found_taps(blocks(6), (32, 32), classes=11) == [("encoder.layers.3", 6, 4), ("encoder.layers.5", 6, 4)]
    with pytest.raises(NoTaps, match="a single feature map"):
        found_taps(blocks(1), (32, 32), classes=11)


def test_scores_are_one_for_each_class() -> None:
    assert gives_scores(blocks(6), (32, 32), classes=6)
    assert not gives_scores(blocks(6), (32, 32), classes=11)
    assert not gives_scores(plain(), (32, 32), classes=11)
    assert describe("timm/gemma4_vit_167m_enc") == FILE["models"]["timm/gemma4_vit_167m_enc"]
    assert not model_card("timm/gemma4_vit_167m_enc", "student").classifies


BLOCKS: list[TapEntry] = [("encoder.layers.3", 6, 4), ("encoder.layers.5", 6, 4)]
ROUNDED_DOWN: list[TapEntry] = [("encoder.layers.3", 6, 4, "nchw", 0), ("encoder.layers.5", 6, 4, "nchw", 0)]


def test_the_pictures_a_model_takes_are_tried() -> None:
    assert picture_sides(blocks(6), 32, BLOCKS, None) == ({}, ROUNDED_DOWN)
    assert picture_sides(blocks(6, 32), 32, BLOCKS, None) == ({"only": 32}, BLOCKS)
    sides = picture_sides(blocks(6, 32), 32, BLOCKS, lambda side: blocks(6, side))
    assert sides == ({"least": 4, "step": 4, "sized": True}, BLOCKS)
    assert picture_sides(blocks(6, 32), 32, BLOCKS, lambda _: blocks(6, 32)) == ({"only": 32}, BLOCKS)


def test_the_smallest_side_is_found_exactly() -> None:
    model = blocks(6)
    model.get_submodule("patches").register_forward_pre_hook(lambda _, x: x[0][:, :, 11:, 11:])
    taps: list[TapEntry] = [(name, channels, stride, "nchw", -11) for name, channels, stride, *_ in BLOCKS]
    assert picture_sides(model, 64, BLOCKS, None) == ({"least": 15}, taps)


def test_maps_that_round_up_or_need_whole_patches_are_noticed() -> None:
    model = blocks(6)
    model.get_submodule("patches").register_forward_pre_hook(lambda _, x: F.pad(x[0], (0, -x[0].shape[3] % 4) * 2))
    assert picture_sides(model, 32, BLOCKS, None) == ({}, BLOCKS)
    whole = blocks(6)
    whole.register_forward_pre_hook(lambda _, x: x[0].unflatten(2, (-1, 4)).flatten(2, 3))
    assert picture_sides(whole, 32, BLOCKS, None) == ({"least": 4, "step": 4}, BLOCKS)


def test_a_module_whose_output_looked_like_a_map_by_accident_is_no_tap() -> None:
    model = blocks(6)
    model.get_submodule("norm").register_forward_hook(lambda _, __, out: F.adaptive_avg_pool2d(out, (8, out.shape[3])))
    assert picture_sides(model, 32, [("norm", 6, 4), *BLOCKS], None) == ({}, ROUNDED_DOWN)
