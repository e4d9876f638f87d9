"""Splits by name, as Hugging Face's hub documents its keywords."""

from __future__ import annotations

from pathlib import Path

import pytest

from dpk_core.catalogue.datasets import dataset_card
from dpk_core.catalogue.split_names import by_split
from dpk_core.errors import DataFault
from tests.unit.catalogue.picture_sets import notes, write_folder, write_parquet


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train", "train"), ("training", "train"), ("my_train_file", "train"), ("train1", "train"),
        ("train-00000-of-00004", "train"), ("Training Set", "train"), ("seg.train", "train"),
        ("validation", "validation"), ("valid", "validation"), ("val", "validation"), ("dev-0", "validation"),
        ("test", "test"), ("testing", "test"), ("eval", "test"), ("evaluation2", "test"),
        ("trainset", None), ("values", None), ("contest", None), ("extra", None),
    ],
)  # fmt: skip
def test_keywords_are_whole_words(name: str, split: str | None) -> None:
    assert by_split("made", [name]) == ({} if split is None else {split: [name]})


def test_a_name_of_two_splits_is_refused() -> None:
    with pytest.raises(DataFault, match="made/train_test names two splits, test and train; rename it"):
        by_split("made", ["train_test"])


def test_two_spellings_of_a_split_are_refused() -> None:
    with pytest.raises(DataFault, match="made has val-0 and dev-1, which both mean validation"):
        by_split("made", ["train", "val-0", "dev-1"])


@pytest.mark.parametrize(("validation", "test"), [("val", "test"), ("valid", "testing"), ("dev", "eval")])
def test_folders_and_parquet_share_the_keywords(tmp_path: Path, validation: str, test: str) -> None:
    write_folder(tmp_path, "classes", counts={"training": 10, validation: 4, test: 2})
    labels = [row % 3 for row in range(30)]
    for split, count in (("training", 30), (validation, 12), (test, 6)):
        write_parquet(tmp_path / "rows" / "data" / f"{split}-00000-of-00001.parquet", labels[:count])
        write_parquet(tmp_path / "nested" / split / "0000.parquet", labels[:count])
    for name in ("folder/classes", "parquet/rows", "parquet/nested"):
        card = dataset_card(name, tmp_path, "dataset")
        assert (card.train_pictures, card.validation_pictures, card.test_pictures) == (30, 12, 6), name


def test_files_that_name_no_split_are_all_for_training(tmp_path: Path) -> None:
    write_parquet(tmp_path / "made" / "pets.parquet", [row % 3 for row in range(30)])
    assert dataset_card("parquet/made", tmp_path, "dataset").train_pictures == 18


def test_files_beside_those_that_name_a_split_are_named(tmp_path: Path) -> None:
    for name in ("train", "unsupervised"):
        write_parquet(tmp_path / "made" / f"{name}.parquet", [row % 3 for row in range(30)])
    assert notes(dataset_card("parquet/made", tmp_path, "dataset")) == (
        "Left out: Parquet files that belong to no split (unsupervised.parquet).",
    )


def test_files_without_training_files_are_refused(tmp_path: Path) -> None:
    write_parquet(tmp_path / "made" / "test.parquet", [0, 1])
    with pytest.raises(DataFault, match="made holds Parquet files for test, but none for training"):
        dataset_card("parquet/made", tmp_path, "dataset")
