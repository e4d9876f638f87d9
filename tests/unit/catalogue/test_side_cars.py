"""What is stated of weights, in their metadata and beside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from dpk_core.catalogue.side_cars import NOTHING_STATED, Stated, stated_beside
from dpk_core.errors import InvalidRequest
from dpk_core.preprocessing import ModelPreprocessing

HALF = ModelPreprocessing(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), side=160, interpolation="bicubic")
TIMM = {
    "architecture": "test_vit", "num_classes": 3, "label_names": ["cat", "dog", "cow"],
    "pretrained_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3, "input_size": [3, 160, 160], "interpolation": "bicubic"},
}  # fmt: skip


def said(folder: Path, metadata: dict[str, str] | None = None, **files: Any) -> Stated:
    save_file({"a": torch.zeros(2)}, folder / "w.safetensors", metadata)
    for name, document in files.items():
        (folder / f"{name}.json").write_text(json.dumps(document))
    return stated_beside(folder / "w.safetensors", "w.safetensors", "teachers[0].weights")


def test_of_most_weights_nothing_is_stated(tmp_path: Path) -> None:
    assert said(tmp_path) == NOTHING_STATED
    assert said(tmp_path, {"format": "pt"}, w={"epochs": 3}).preprocessing is None


def test_timms_configuration_is_read_beside_the_weights(tmp_path: Path) -> None:
    found = said(tmp_path, w=TIMM)
    assert found == Stated(source="w.json", preprocessing=HALF, classes=("cat", "dog", "cow"))


def test_an_exported_students_configuration_is_read(tmp_path: Path) -> None:
    exported = {"classes": None, "input_size": [1, 8, 8], "mean": [0.02], "std": [0.03]}
    found = said(tmp_path, config=exported)
    assert found.preprocessing == ModelPreprocessing(mean=(0.02,), std=(0.03,), side=8)
    assert found.source == "config.json"


def test_a_configuration_of_several_weights_is_nobodys(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors")
    assert said(tmp_path, config=TIMM) == NOTHING_STATED
    for name in ("model.safetensors", "pytorch_model.safetensors"):
        (tmp_path / "other.safetensors").rename(tmp_path / name)
        assert stated_beside(tmp_path / name, name, "weights").preprocessing == HALF
        (tmp_path / name).rename(tmp_path / "other.safetensors")


def test_metadata_is_read_and_what_lies_beside_it_comes_first(tmp_path: Path) -> None:
    metadata = {"mean": "[0.1]", "std": "0.2", "class_names": '["x", "y"]', "channel_order": "bgr"}
    found = said(tmp_path, metadata)
    assert found.preprocessing == ModelPreprocessing(mean=(0.1,), std=(0.2,), channel_order="bgr")
    assert (found.source, found.classes) == ("the metadata of w.safetensors", ("x", "y"))
    found = said(tmp_path, metadata, w={"mean": 0.5, "size": 32})
    assert found.preprocessing == ModelPreprocessing(mean=(0.5,), std=(0.2,), side=32, channel_order="bgr")


@pytest.mark.parametrize(
    ("stated", "used"), [("nearest", "nearest"), ("lanczos", "bicubic"), ("random", "bilinear"), (None, "bilinear")]
)
def test_interpolations_that_are_known(stated: str | None, used: str, tmp_path: Path) -> None:
    found = said(tmp_path, w={"size": 32} | ({} if stated is None else {"interpolation": stated}))
    assert found.preprocessing == ModelPreprocessing(side=32, interpolation=used)


def test_another_interpolation_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"interpolation is one of nearest, .*random, not 'bicubicc'"):
        said(tmp_path, w={"size": 32, "interpolation": "bicubicc"})


def test_what_is_left_out_of_a_scaling_changes_nothing(tmp_path: Path) -> None:
    assert said(tmp_path, w={"scale": 255}).preprocessing == ModelPreprocessing(mean=(0.0,), std=(1.0,), scale=255.0)
    assert said(tmp_path, w={"id2label": {"1": "b", "0": "a"}}).classes == ("a", "b")


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ([], "it is no JSON object"),
        ({"mean": "grey", "std": 1}, "mean must be a number or a list of numbers, not 'grey'"),
        ({"mean": [0.5, 0.5], "std": 1}, "mean must be one number"),
        ({"size": [3, 32, 48]}, "size must be the side of square pictures"),
        ({"channel_order": "gbr"}, "channel_order is rgb or bgr, not 'gbr'"),
        ({"std": 0}, "std must be above 0"),
    ],
)
def test_what_cannot_be_understood_is_refused(tmp_path: Path, document: object, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=rf"What w\.json says of the weights .* cannot be understood: {reason}"):
        said(tmp_path, w=document)
