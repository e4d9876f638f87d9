"""Detection data sets as the loop sees them: by name, from files or memory, batches with boxes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dpk_core.catalogue.datasets import DatasetCard, box_dataset_card, dataset_card, dataset_check, dataset_names
from dpk_core.catalogue.detection import making, sizes
from dpk_core.catalogue.detection.cards import box_dataset_names
from dpk_core.data import box_files
from dpk_core.data.batches import TrainingBatches, pictures_in_order
from dpk_core.data.box_files import BoxSplit
from dpk_core.data.boxes import BoxTargets
from dpk_core.data.source import load_dataset
from dpk_core.detection_settings import BoxAugmentation, Canvas, DetectionSettings
from dpk_core.errors import DataFault, InvalidRequest
from dpk_core.recipes import recipe
from tests.unit.catalogue.detection.detection_sets import sound_documents, write_coco, write_picture
from tests.unit.data.single_batch import training_batch

CPU = torch.device("cpu")
CANVAS = Canvas(height=32, width=64)
SETTINGS = DetectionSettings(canvas=CANVAS)
RECIPE = replace(recipe("detection_small", epochs=2), batch_size=2)


def card(root: Path) -> DatasetCard:
    write_coco(root / "pets", sound_documents(pictures=4))
    return box_dataset_card("boxes/pets", root, "dataset", SETTINGS)


def test_a_card_has_height_and_width(tmp_path: Path) -> None:
    found = card(tmp_path)
    assert found.size == (32, 64)
    assert (found.channels, found.classes, found.side, found.default_recipe) == (3, 2, 64, "detection_small")
    assert (found.train_pictures, found.validation_pictures, found.test_pictures) == (4, 4, 4)
    assert found.decoded_bytes == 12 * 3 * 32 * 64


def test_names(tmp_path: Path) -> None:
    card(tmp_path)
    write_picture(tmp_path / "photos" / "train" / "cat" / "a.png", 1)
    assert box_dataset_names(tmp_path) == ("boxes/pets",)
    assert dataset_names(tmp_path) == ("digits", "boxes/pets", "folder/photos")
    with pytest.raises(InvalidRequest, match=r"no data set 'boxes/pet'; there are boxes/pets.*choice: boxes/pets"):
        box_dataset_card("boxes/pet", tmp_path, "dataset", SETTINGS)
    assert dataset_card("boxes/pets", tmp_path, "dataset").canvas == DetectionSettings().canvas
    with pytest.raises(InvalidRequest, match="has boxes and no classes"):
        dataset_check("boxes/pets", tmp_path, "dataset")
    with pytest.raises(InvalidRequest, match="holds no annotations of boxes"):
        box_dataset_card("boxes/pet", tmp_path / "photos", "dataset", SETTINGS)


def test_from_files_and_from_memory_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = card(tmp_path)
    held = load_dataset(found, tmp_path, CPU)
    monkeypatch.setattr(box_files, "IN_MEMORY_BYTES", 0)
    streamed = load_dataset(found, tmp_path, CPU)
    assert isinstance(held.train, BoxSplit)
    assert isinstance(streamed.train, BoxSplit)
    assert (held.train.pictures is not None, streamed.train.pictures) == (True, None)
    assert torch.equal(held.mean, streamed.mean)
    batches = [TrainingBatches(data, RECIPE, 3, 4) for data in (held, streamed)]
    for step in range(4):
        (one, boxes), (other, other_boxes) = (each.at(step) for each in batches)
        assert one.shape == (2, 3, 32, 64)
        assert torch.equal(one, other)
        assert isinstance(boxes, BoxTargets)
        assert isinstance(other_boxes, BoxTargets)
        assert torch.equal(boxes.boxes_BM4, other_boxes.boxes_BM4)
    positions = [positions.tolist() for positions, _ in pictures_in_order(streamed.read_test(), 3)]
    assert positions == [[0, 1, 2], [3]]


def test_boxes_are_those_of_the_pictures(tmp_path: Path) -> None:
    """The annotated boxes of 64 x 48 px pictures, fitted into 32 px of height: two thirds as large."""
    data = load_dataset(card(tmp_path), tmp_path, CPU)
    still = replace(RECIPE.detection, augmentation=BoxAugmentation(flip=0.0, zoom=1.0, colour=0.0))
    pictures, found = training_batch(data, torch.tensor([2, 0]), replace(RECIPE, detection=still), 0, 0)
    assert isinstance(found, BoxTargets)
    assert found.boxes_BM4[1, 0].numpy() == pytest.approx(np.array([4, 5, 24, 15]) * 2 / 3, abs=0.15)
    assert found.labels_BM.tolist() == [[0, 1], [0, 1]]
    raw = data.train.start_reading(torch.tensor([2, 0]))()
    assert torch.allclose(pictures, data.normalise(raw), atol=1 / data.std.min().item())
    assert [len(part) for part in found.tensor_split(2)] == [1, 1]


def test_of_large_data_every_header_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(box_files, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(box_files, "SAMPLE_BYTES", 3 * 32 * 64 * 2)
    data = load_dataset(card(tmp_path), tmp_path, CPU)
    monkeypatch.setattr(box_files, "SAMPLE_BYTES", 2**28)
    assert not torch.equal(data.mean, load_dataset(card(tmp_path), tmp_path, CPU).mean)  # of two pictures, and of all
    monkeypatch.setattr(sizes, "LOOKED_AT", 1)
    monkeypatch.setattr(making, "is_large", lambda _: True)
    documents = sound_documents(pictures=4)
    for image in documents["test"]["images"]:
        image["width"] = 65
    write_coco(tmp_path / "wrong", documents)
    found = box_dataset_card("boxes/wrong", tmp_path, "dataset", SETTINGS)
    with pytest.raises(DataFault, match=r"test\d\.png is 64 x 48 px, and its annotations are of 65 x 48 px"):
        load_dataset(found, tmp_path, CPU)


def test_what_cannot_be_trained_on(tmp_path: Path) -> None:
    found = card(tmp_path)
    with pytest.raises(DataFault, match="fingerprint"):
        load_dataset(replace(found, fingerprint="another"), tmp_path, CPU)
    documents = sound_documents(pictures=4)
    for each in documents["val"]["annotations"]:
        each["iscrowd"] = 1
    write_coco(tmp_path / "crowds", documents)
    with pytest.raises(DataFault, match=r"validation pictures of boxes/crowds have no boxes"):
        load_dataset(box_dataset_card("boxes/crowds", tmp_path, "dataset", SETTINGS), tmp_path, CPU)
    write_coco(tmp_path / "broken", sound_documents(pictures=4))
    whole = (tmp_path / "broken" / "test" / "test1.png").read_bytes()
    (tmp_path / "broken" / "test" / "test1.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataFault, match=r"test1\.png"):
        load_dataset(box_dataset_card("boxes/broken", tmp_path, "dataset", SETTINGS), tmp_path, CPU)
