"""Where pictures may lie: what is clear is taken, and a refusal says what was found and what is expected."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dpk_core.catalogue.datasets import DatasetCard, dataset_card, dataset_names
from dpk_core.errors import DataFault, InvalidRequest
from tests.unit.catalogue.picture_sets import CLASSES, notes, write_folder


def card(root: Path) -> DatasetCard:
    return dataset_card("folder/made", root, "dataset")


def sizes(found: DatasetCard) -> tuple[int, int, int]:
    return found.train_pictures, found.validation_pictures, found.test_pictures


def flat(root: Path) -> Path:
    """Class folders that lie directly in the data set's."""
    folder = write_folder(root)
    for name in CLASSES:
        (folder / "train" / name).rename(folder / name)
    (folder / "train").rmdir()
    return folder


@pytest.mark.parametrize(("train", "valid"), [("Train", "valid"), ("TRAINING", "Val"), ("train", "dev")])
def test_splits_by_any_usual_name(tmp_path: Path, train: str, valid: str) -> None:
    write_folder(tmp_path, counts={train: 10, valid: 2})
    assert sizes(card(tmp_path)) == (24, 6, 6)


def test_class_folders_alone_are_all_for_training(tmp_path: Path) -> None:
    folder = flat(tmp_path)
    (folder / "LICENSE.txt").touch()
    (folder / "dataset.json").write_text('{"side": 16}')
    found = card(tmp_path)
    assert (sizes(found), found.side) == ((18, 6, 6), 16)
    assert notes(found) == (
        "Left out: 1 file ends in .txt, e.g. LICENSE.txt.",
        "made has no folders of splits, so the pictures of its class folders are all for training.",
    )
    assert dataset_names(tmp_path) == ("digits", "folder/made")


def test_the_folder_of_an_archive_is_gone_into(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, counts={"train": 10, "val": 2})
    before = card(tmp_path)
    folder.rename(tmp_path / "inner")
    folder.mkdir()
    (tmp_path / "inner").rename(folder / "flowers-1.0")
    (folder / "__MACOSX" / "flowers-1.0").mkdir(parents=True)
    assert sizes(card(tmp_path)) == sizes(before)
    assert dataset_names(tmp_path) == ("digits", "folder/made")


def test_the_folder_of_an_archive_in_each_split(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, counts={"seg_train": 10, "seg_test": 2})
    before = card(tmp_path)
    for split in ("seg_train", "seg_test"):
        (folder / split).rename(folder / "inner")
        (folder / split).mkdir()
        (folder / "inner").rename(folder / split / split)
    assert sizes(card(tmp_path)) == sizes(before) == (24, 6, 6)


def test_class_folders_in_the_folder_of_an_archive(tmp_path: Path) -> None:
    folder = flat(tmp_path / "made")
    folder.rename(tmp_path / "made" / "pets")
    assert sizes(card(tmp_path)) == (18, 6, 6)


def test_a_single_class_folder_is_no_archive(tmp_path: Path) -> None:
    folder = flat(tmp_path)
    for name in ("bee", "cat"):
        shutil.rmtree(folder / name)
    with pytest.raises(InvalidRequest, match=r"The folder made holds 1 folder \(ant\)\. Expected: made/train/<class>/"):
        card(tmp_path)


def test_one_class_folder_without_pictures_makes_it_unclear(tmp_path: Path) -> None:
    (flat(tmp_path) / "docs").mkdir()
    with pytest.raises(InvalidRequest, match=r"holds 4 folders \(ant, bee, cat and 1 more\)\. Expected: made/train/"):
        card(tmp_path)


def test_a_folder_beside_splits_is_refused_with_what_is_there(tmp_path: Path) -> None:
    (write_folder(tmp_path, counts={"train": 10, "val": 2}) / "extra").mkdir()
    with pytest.raises(
        DataFault, match=r"made/extra is the folder of no split .* made holds the folders extra, train, val"
    ):
        card(tmp_path)


@pytest.mark.parametrize("place", ["", "flowers-1.0"])
def test_pictures_beside_the_folders_of_splits_are_counted(tmp_path: Path, place: str) -> None:
    folder = write_folder(tmp_path / place if place else tmp_path, "made", counts={"train": 40, "val": 2})
    if place:
        folder.rename(tmp_path / "inner")
        (tmp_path / place).rename(tmp_path / "made")
        (tmp_path / "inner").rename(tmp_path / "made" / place)
        folder = tmp_path / "made" / place
    shutil.copy(folder / "train" / "ant" / "000.png", folder / "cover.PNG")
    (folder / "source.zip").touch()
    where = f"{place}/cover.PNG" if place else "cover.PNG"
    assert notes(card(tmp_path)) == (f"Left out: 1 file ends in .png, e.g. {where}.",)


def test_splits_without_training_are_refused_with_what_is_there(tmp_path: Path) -> None:
    write_folder(tmp_path, counts={"test": 2, "val": 2})
    with pytest.raises(InvalidRequest, match=r"The folder made holds 2 folders \(test, val\)"):
        card(tmp_path)
