"""Names that people have: anything a file system takes is read, and shown so that every encoder takes it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from dpk_core.catalogue import content
from dpk_core.catalogue.datasets import dataset_card
from dpk_core.data import picture_files
from dpk_core.data.source import load_dataset
from dpk_core.display import is_text, listed, shown
from dpk_core.errors import DataFault
from tests.unit.catalogue.picture_sets import CLASSES, notes, write_folder, write_parquet

LATIN = "caf\udce9"
"""How Python shows the bytes of a Latin-1 name."""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Épagneul – nain 🐶", "Épagneul – nain 🐶"), (LATIN, r"caf\xe9"), ("a\nb\0c\x1b[1m", r"a\nb\x00c\x1b[1m"),
        ("\ud800", r"\ud800"), ("\udc41", r"\udc41"),
    ],
)  # fmt: skip
def test_shown(name: str, expected: str) -> None:
    assert shown(name) == expected
    assert shown(expected) == expected


def test_is_text_and_listed() -> None:
    assert (is_text("é\n🐶"), is_text(LATIN)) == (True, False)
    assert listed(["a", LATIN, "c"], 2) == r"a, caf\xe9 and 1 more"


@pytest.mark.parametrize("large", [False, True])
def test_they_are_read_like_any_other(tmp_path: Path, large: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if large:
        monkeypatch.setattr(content, "WHOLE_BYTES", 100)
        monkeypatch.setattr(content, "SAMPLED_FILES", 20)
        monkeypatch.setattr(picture_files, "IN_MEMORY_BYTES", 0)
    classes = (LATIN, "a#b%20c", "new\nline é")
    folder = write_folder(tmp_path, "odd #1 50%é", counts={"train": 10, "val": 2}, classes=classes)
    for number, name in enumerate((LATIN, "#", "%2F", "a\nb", "c d (1)")):
        member = folder / "train" / LATIN
        (member / f"{number:03}.png").rename(member / f"{name}.png")
    card = dataset_card("folder/odd #1 50%é", tmp_path, "dataset")
    assert (card.classes, card.validation_pictures) == (3, 6)
    data = load_dataset(card, tmp_path, torch.device("cpu"))
    assert len(data.train) == card.train_pictures
    assert data.train.start_reading(torch.arange(len(data.train)))().shape[0] == card.train_pictures


def spoil_picture(folder: Path) -> None:
    (folder / "train" / "ant" / f"{LATIN}.png").write_bytes(b"no picture")


def spoil_class(folder: Path) -> None:
    (folder / "val" / LATIN).mkdir(parents=True)


def spoil_split(folder: Path) -> None:
    (folder / LATIN).mkdir()


def leave_out(folder: Path) -> None:
    for number in range(9):
        (folder / "train" / "ant" / f"{number}{LATIN}.{LATIN}").touch()


@pytest.mark.parametrize("spoil", [spoil_picture, spoil_class, spoil_split, leave_out])
def test_a_fault_shows_them_escaped(tmp_path: Path, spoil: object) -> None:
    folder = write_folder(tmp_path)
    assert callable(spoil)
    spoil(folder)
    with pytest.raises(DataFault, match=r"caf\\xe9"):
        dataset_card("folder/made", tmp_path, "dataset")


def test_notes_show_them_escaped(tmp_path: Path) -> None:
    (write_folder(tmp_path) / "train" / "ant" / f"{LATIN}.txt").touch()
    assert notes(dataset_card("folder/made", tmp_path, "dataset")) == (
        r"Left out: 1 file ends in .txt, e.g. train/ant/caf\xe9.txt.",
    )


def test_the_data_root_may_have_one(tmp_path: Path) -> None:
    root = tmp_path / LATIN
    write_folder(root)
    assert dataset_card("folder/made", root, "dataset").classes == 3


def test_parquet_files_may_have_one(tmp_path: Path) -> None:
    write_parquet(tmp_path / "made" / "train.parquet", [row % 3 for row in range(30)], names=CLASSES)
    os.rename(tmp_path / "made" / "train.parquet", tmp_path / "made" / f"{LATIN}-train.parquet")
    card = dataset_card("parquet/made", tmp_path, "dataset")
    assert len(load_dataset(card, tmp_path, torch.device("cpu")).train) == 18
