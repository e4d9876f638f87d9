"""A few pictures for people: those that networks see."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dpk_core.catalogue import datasets
from dpk_core.catalogue.built_in import cifar_check
from dpk_core.catalogue.datasets import dataset_check, dataset_samples
from dpk_core.catalogue.samples import Sample
from tests.unit.catalogue.npz_files import arrays, write_npz
from tests.unit.catalogue.picture_sets import CLASSES, encoded, pixels, write_folder, write_parquet


def sampled(name: str, root: Path) -> tuple[Sample, ...]:
    return dataset_samples(dataset_check(name, root, "dataset"), root)


def opened(picture: str | None) -> Image.Image:
    assert picture is not None
    kind, _, content = picture.partition(";base64,")
    found = Image.open(io.BytesIO(base64.b64decode(content)))
    assert kind == f"data:image/{(found.format or '').lower()}"
    return found


def test_they_are_spread_over_the_classes_and_as_networks_see_them(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, size=(12, 24))
    found = sampled("folder/made", tmp_path)
    assert [each.label for each in found] == [name for name in CLASSES for _ in range(4)]
    assert all(each.name.startswith(f"train/{each.label}/") for each in found)
    seen = np.asarray(opened(found[0].picture))
    assert seen.shape == (24, 24, 3)
    assert not seen[:4].any()
    (folder / "dataset.json").write_text('{"fit": "middle"}')
    assert opened(sampled("folder/made", tmp_path)[0].picture).size == (12, 12)


def test_large_ones_are_made_smaller(tmp_path: Path) -> None:
    write_folder(tmp_path, counts={"train": 5}, size=(300, 300))
    assert {opened(each.picture).size for each in sampled("folder/made", tmp_path)} == {(128, 128)}


def test_one_that_cannot_be_decoded_is_there_without_a_picture(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, counts={"train": 5, "val": 1, "test": 1})
    for path in (folder / "train" / "ant").iterdir():
        content = path.read_bytes()
        path.write_bytes(content[:50] + bytes(20) + content[70:])  # whole to the check, which decodes none
    found = sampled("folder/made", tmp_path)
    assert [each.picture is None for each in found] == [each.label == "ant" for each in found]


def test_they_are_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(tmp_path)
    found = sampled("folder/made", tmp_path)
    monkeypatch.setattr(datasets, "sample_files", lambda *_: pytest.fail("decoded again"))
    assert sampled("folder/made", tmp_path) == found


def test_of_parquet_rows(tmp_path: Path) -> None:
    pictures = [encoded(pixels(row)) for row in range(30)]
    write_parquet(tmp_path / "made" / "train.parquet", [row % 3 for row in range(30)], pictures=pictures)
    found = sampled("parquet/made", tmp_path)
    for each in found:
        row = int(each.name.split()[1])
        assert np.array_equal(np.asarray(opened(each.picture)), pixels(row))
        assert int(each.label) == row % 3


def test_of_arrays(tmp_path: Path) -> None:
    write_npz(tmp_path)
    for each in sampled("npz/made", tmp_path):
        place = int(each.name.removeprefix("x_train[").rstrip("]"))
        assert np.array_equal(np.asarray(opened(each.picture)), arrays()["x_train"][place])
        assert each.label == "abc"[place % 3]


def test_of_what_only_the_runner_reads_there_are_none(tmp_path: Path) -> None:
    assert sampled("digits", tmp_path) == dataset_samples(cifar_check("torchvision/cifar10"), tmp_path) == ()
