"""A class whose name is spelled in NFC here and in NFD there is one class, wherever classes are named."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest

from dpk_core.catalogue.datasets import dataset_card, dataset_check
from dpk_core.catalogue.detection.weights import class_map
from dpk_core.catalogue.folders import list_folder
from dpk_core.catalogue.side_cars import stated
from dpk_core.catalogue.spelling import composed, spelling_notes
from dpk_core.errors import DataFault
from tests.unit.catalogue.npz_files import write_npz
from tests.unit.catalogue.picture_sets import encoded, notes, pixels, write_folder, write_parquet

ONE = unicodedata.normalize("NFC", "café")
OTHER = unicodedata.normalize("NFD", "café")
SAID = f"Spelled in two ways in Unicode (NFC and NFD), and taken for one class each: {ONE}."


def test_names_are_composed_and_two_spellings_are_named() -> None:
    assert ONE != OTHER
    assert (composed(OTHER), composed("caf\udce9")) == (ONE, "caf\udce9")
    assert spelling_notes(["bar", ONE, ONE]) == ()
    assert spelling_notes(["bar", OTHER, ONE]) == (SAID,)


def test_folders_of_one_split_and_of_two(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, classes=("bar", ONE, OTHER), counts={"train": 10})
    write_folder(tmp_path, classes=("bar", OTHER), counts={"val": 4})
    write_folder(tmp_path, classes=("bar", ONE), counts={"test": 4})
    found = list_folder(folder, "folder")
    assert (found.classes, found.notes) == (("bar", ONE), (SAID,))
    assert np.bincount(found.labels["train"]).tolist() == [10, 20]
    names = [file.name for file in found.files["train"]]
    assert [label == 1 for label in found.labels["train"].tolist()] == ["caf" in name for name in names]
    assert {f"train/{ONE}", f"train/{OTHER}", f"val/{OTHER}", f"test/{ONE}"} <= set(found.folders)
    card = dataset_card("folder/made", tmp_path, "dataset")
    assert (card.classes, card.train_pictures, notes(card)) == (2, 30, (SAID,))


def test_a_class_without_training_pictures_is_still_named(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, classes=("bar", ONE), counts={"train": 2})
    write_folder(tmp_path, classes=("bar", OTHER, "pub"), counts={"val": 2})
    with pytest.raises(DataFault, match="val/pub is a class that made has no training folder of"):
        list_folder(folder, "folder")


def test_tables_and_the_names_of_their_pictures(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    rows = ["file,label"]
    for number in range(30):
        name = f"{OTHER} {number}.png"
        (folder / name).write_bytes(encoded(pixels(number)))
        rows.append(f"{composed(name)},{('bar', ONE, OTHER)[number % 3]}")
    (folder / "labels.csv").write_text("\n".join(rows), encoding="utf-8")
    found = list_folder(folder, "folder")
    assert (found.classes, found.notes) == (("bar", ONE), (SAID,))
    assert np.bincount(found.labels["train"]).tolist() == [10, 20]


@pytest.mark.parametrize("declared", [True, False])
def test_parquet_files(tmp_path: Path, declared: bool) -> None:
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    for split, name in (("train", ONE), ("validation", OTHER), ("test", OTHER)):
        places = [row % 2 for row in range(30)]
        labels = places if declared else arrow.array([("bar", name)[place] for place in places])
        names = ("bar", name) if declared else None
        write_parquet(tmp_path / "made" / f"{split}.parquet", labels, names=names)
    found = dataset_check("parquet/made", tmp_path, "dataset")
    assert [(each.name, each.train, each.test) for each in found.classes] == [("bar", 15, 15), (ONE, 15, 15)]
    assert found.notes == (SAID,)


def test_an_array_file_that_names_one_class_twice_is_refused(tmp_path: Path) -> None:
    write_npz(tmp_path, "plain", classes=np.array(["a", "b", OTHER]))
    assert [each.name for each in dataset_check("npz/plain", tmp_path, "dataset").classes] == ["a", "b", ONE]
    for twice in (["a", "b", "a"], ["a", ONE, OTHER]):
        write_npz(tmp_path, "twice", classes=np.array(twice))
        with pytest.raises(DataFault, match=f"classes names {composed(twice[-1])} twice"):
            dataset_check("npz/twice", tmp_path, "dataset")


def test_the_classes_of_weights() -> None:
    assert stated({"classes": ["bar", OTHER]}, "a").classes == ("bar", ONE)
    assert class_map(["bar", OTHER], [ONE, "bar"]) == (1, 0)
