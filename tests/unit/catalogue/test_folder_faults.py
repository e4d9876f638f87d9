"""Class folders that are broken in one place: each fault is named before anything is trained."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dpk_core.catalogue.datasets import DatasetCard, dataset_card
from dpk_core.errors import DataFault
from tests.unit.catalogue.picture_sets import CLASSES, encoded, pixels, write_folder


def card(root: Path) -> DatasetCard:
    return dataset_card("folder/made", root, "dataset")


def spoil_json(text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / "dataset.json").write_text(text)


def spoil_picture(folder: Path) -> None:
    (folder / "train" / "bee" / "004.png").write_bytes(b"<html>404 not found</html>")


def deep_numbers(folder: Path) -> None:
    Image.fromarray(np.zeros((12, 12), np.float32)).save(folder / "train" / "bee" / "004.png", "tiff")


def empty_file(folder: Path) -> None:
    (folder / "train" / "bee" / "004.png").write_bytes(b"")


def empty_class(folder: Path) -> None:
    shutil.rmtree(folder / "train" / "cat")
    (folder / "train" / "cat").mkdir()


def unknown_split(folder: Path) -> None:
    (folder / "extra").mkdir()


def split_twice(folder: Path) -> None:
    (folder / "val").mkdir()
    (folder / "dev").mkdir()


def two_splits(folder: Path) -> None:
    (folder / "train_and_val").mkdir()


def dangling_link(folder: Path) -> None:
    (folder / "train" / "bee" / "more.png").symlink_to(folder / "nowhere")


def dangling_class(folder: Path) -> None:
    (folder / "train" / "dog").symlink_to(folder / "nowhere")


def no_plain_file(folder: Path) -> None:
    os.mkfifo(folder / "train" / "bee" / "pipe.png")


def loose_pictures(folder: Path) -> None:
    for number in range(3):
        shutil.copy(folder / "train" / "ant" / "000.png", folder / "train" / f"{number}.png")


def flat(folder: Path) -> None:
    for name in CLASSES:
        shutil.rmtree(folder / "train" / name)
    (folder / "train" / "000.png").write_bytes(encoded(pixels(0)))


def unknown_class(folder: Path) -> None:
    (folder / "val" / "dog").mkdir(parents=True)


def empty_split(folder: Path) -> None:
    (folder / "val").mkdir()


def nested(folder: Path) -> None:
    (folder / "train" / "ant" / "more").mkdir()


def one_class(folder: Path) -> None:
    for name in ("bee", "cat"):
        shutil.rmtree(folder / "train" / name)


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "no picture": (spoil_picture, r"made/train/bee/004\.png cannot be read as a picture"),
    "floats": (
        deep_numbers,
        r"made/train/bee/004\.png has pixels of the kind F; pictures have 8 bits a channel, or 16",
    ),
    "empty file": (empty_file, r"made/train/bee/004\.png is an empty file"),
    "empty class": (empty_class, "made/train/cat holds no pictures"),
    "unknown split": (unknown_split, r"made/extra is the folder of no split \(train: train, training; validation: val"),
    "a split twice": (split_twice, "made has (val and dev|dev and val), which both mean validation; keep one of them"),
    "two splits": (two_splits, "made/train_and_val names two splits, train and validation; rename it"),
    "class of val alone": (unknown_class, "made/val/dog is a class that made has no training folder of"),
    "empty split": (empty_split, "made/val holds no class folders with pictures. Pictures lie in made/val/<class>/"),
    "no class folders": (flat, r"made/train holds no class folders with pictures: 1 of 1 files in train ends in \.png"),
    "link to nothing": (dangling_link, r"made/train/bee/more\.png is a link to a file that is not there"),
    "class linked to nothing": (dangling_class, "made/train/dog is a link to a file that is not there"),
    "pipe": (no_plain_file, r"made/train/bee/pipe\.png is no plain file; remove it"),
    "loose pictures": (
        loose_pictures,
        r"3 of 3 files in train end in \.png, e\.g\. 0\.png\. At most 1% of the pictures",
    ),
    "folder in a class": (nested, "made/train/ant/more is a folder"),
    "one class": (one_class, "made has 1 class; there must be at least two"),
    "declaration of nonsense": (spoil_json("{side}"), r"made/dataset\.json cannot be read as JSON"),
    "declaration of something else": (
        spoil_json('{"size": 3}'),
        r"made/dataset\.json: unknown name 'size'\. It may say how pictures are read, like {\"side\": 64, ",
    ),
    "declared side too large": (spoil_json('{"side": 5000}'), "side must be 8 … 1024 pixels"),
}


@pytest.mark.parametrize(("spoil", "sentence"), BROKEN.values(), ids=BROKEN)
def test_each_fault_of_a_folder_is_named(tmp_path: Path, spoil: Callable[[Path], object], sentence: str) -> None:
    spoil(write_folder(tmp_path))
    with pytest.raises(DataFault, match=sentence):
        card(tmp_path)


def test_too_few_pictures_to_hold_any_out(tmp_path: Path) -> None:
    write_folder(tmp_path, counts={"train": 2})
    with pytest.raises(DataFault, match="made: too few training pictures to hold 20% out for validation"):
        card(tmp_path)


def test_a_huge_picture_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(tmp_path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(DataFault, match=r"made/train/ant/000\.png has more than 0\.0001 million pixels"):
        card(tmp_path)
