"""Pictures whose labels are in CSV files: what is clear is taken, what is not is named with its line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import torch

from dpk_core.catalogue import content
from dpk_core.catalogue.datasets import DatasetCard, dataset_card, dataset_names
from dpk_core.catalogue.folders import list_folder
from dpk_core.data.source import load_dataset
from dpk_core.errors import DataFault
from tests.unit.catalogue.picture_sets import encoded, notes, pixels

ANIMALS = ("ant", "bee", "cat")
Rows = Sequence[Sequence[str]]


def animal(number: int) -> str:
    return ANIMALS[number % 3]


def write(folder: Path, names: Sequence[str], tables: Mapping[str, Rows]) -> Path:
    """Pictures of noise by these names, each of a seed of its own, and tables."""
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(pixels(number)))
    for name, rows in tables.items():
        (folder / name).write_text("".join(",".join(row) + "\n" for row in rows), encoding="utf-8")
    return folder


def card(root: Path) -> DatasetCard:
    return dataset_card("folder/made", root, "dataset")


def made(root: Path, table: Rows, count: int = 30) -> Path:
    """`images/0.png` … with one table."""
    return write(root / "made", [f"images/{number}.png" for number in range(count)], {"labels.csv": table})


def rows(head: Sequence[str], name: str, count: int = 30) -> list[list[str]]:
    return [list(head), *([name.format(number), animal(number)] for number in range(count))]


@pytest.mark.parametrize(
    ("name", "separator"), [("labels.csv", ","), ("labels.csv", ";"), ("labels.csv", "\t"), ("LABELS.TSV", "\t")]
)
def test_columns_between_any_usual_separator(tmp_path: Path, name: str, separator: str) -> None:
    folder = write(tmp_path / "made", [f"images/{number}.png" for number in range(30)], {})
    found = rows(["file_name", "label"], "images/{}.png")
    (folder / name).write_text("".join(separator.join(row) + "\n" for row in found), encoding="utf-8")
    assert (card(tmp_path).classes, card(tmp_path).train_pictures) == (3, 18)


def test_tables_in_the_folders_of_splits(tmp_path: Path) -> None:
    """As Hugging Face's ImageFolder reads them; the same name in two splits is two pictures."""
    for split, count in (("train", 30), ("valid", 6), ("test", 3)):
        names = [f"{split}/{number}.png" for number in range(count)]
        write(tmp_path / "made", names, {f"{split}/metadata.csv": rows(["file_name", "label"], "{}.png", count)})
    found = card(tmp_path)
    assert (found.train_pictures, found.validation_pictures, found.test_pictures, notes(found)) == (30, 6, 3, ())
    listing = list_folder(tmp_path / "made", "folder")
    assert {file.name.partition("/")[0] for file in listing.files["validation"]} == {"valid"}
    assert [file.name for file in listing.tables] == [f"{each}/metadata.csv" for each in ("test", "train", "valid")]


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (["file_name", "label"], "images/{}.png"), (["filename", "class"], "./images/{}.png"),
        (["image", "Label"], "{}.png"), (["id", "category"], "{}"), (["\ufefffile", "label"], "images/{}.png"),
    ],
)  # fmt: skip
def test_one_table_is_all_for_training(tmp_path: Path, head: list[str], name: str) -> None:
    made(tmp_path, rows(head, name))
    found = card(tmp_path)
    assert (found.classes, found.train_pictures, found.validation_pictures, found.test_pictures) == (3, 18, 6, 6)
    assert dataset_names(tmp_path) == ("digits", "folder/made")
    listing = list_folder(tmp_path / "made", "folder")
    labelled = {
        (file.name, listing.classes[label])
        for file, label in zip(listing.files["train"], listing.labels["train"], strict=True)
    }
    assert labelled == {(f"images/{number}.png", animal(number)) for number in range(30)}


def test_it_is_loaded_as_it_is_listed(tmp_path: Path) -> None:
    made(tmp_path, rows(["file_name", "label"], "images/{}.png"))
    data = load_dataset(card(tmp_path), tmp_path, torch.device("cpu"))
    pictures, labels = data.train.start_reading(torch.arange(18))(), data.train.labels
    known = {encoded(pixels(number)): number for number in range(30)}
    for picture, label in zip(pictures, labels, strict=True):
        number = known[encoded(picture.permute(1, 2, 0).numpy())]
        assert number % 3 == label


def test_a_column_may_say_the_split(tmp_path: Path) -> None:
    table = [["path", "label", "split"]]
    table += [[f"images/{n}.png", animal(n), ("train", "train", "Validation", "test")[n // 3 % 4]] for n in range(36)]
    made(tmp_path, table, 36)
    found = card(tmp_path)
    assert (found.train_pictures, found.validation_pictures, found.test_pictures) == (18, 9, 9)


def test_tables_may_be_the_splits_as_on_kaggle(tmp_path: Path) -> None:
    """Names without endings, the same ones in both folders, and test pictures without labels."""
    names = [f"{split}/{number}.jpg" for split in ("train", "test") for number in range(30)]
    folder = write(
        tmp_path / "made", names,
        {
            "train.csv": rows(["image_id", "label"], "{}"), "test.csv": [["image_id"], ["0"]],
            "sample_submission.csv": [["image_id", "guess"], ["0", "ant"]],
        },
    )  # fmt: skip
    found = card(tmp_path)
    assert (found.train_pictures, found.test_pictures) == (18, 6)
    said = notes(found)
    assert said[0] == "Left out: 30 files have no label, e.g. test/0.jpg."
    assert said[1].startswith("Left out: sample_submission.csv, which has no column of labels (label,")
    (folder / "test.csv").write_text("image_id,label\n" + "".join(f"{n},{animal(n)}\n" for n in range(30)))
    assert card(tmp_path).test_pictures == 30


def test_a_link_back_is_not_followed_for_ever(tmp_path: Path) -> None:
    folder = made(tmp_path, rows(["file", "label"], "{}.png"))
    (folder / "images" / "again").symlink_to(folder)
    assert card(tmp_path).train_pictures == 18


def test_class_folders_win_over_a_table(tmp_path: Path) -> None:
    write(
        tmp_path / "made", [f"train/{animal(number)}/{number}.png" for number in range(30)],
        {"train.csv": [["file", "label"], ["0.png", "dog"]]},
    )  # fmt: skip
    assert list_folder(tmp_path / "made", "folder").classes == ANIMALS


def test_numbers_are_in_the_order_of_numbers(tmp_path: Path) -> None:
    table = [["file", "label"], *([f"images/{n}.png", str(8 + n % 3)] for n in range(30))]
    made(tmp_path, table)
    assert list_folder(tmp_path / "made", "folder").classes == ("8", "9", "10")
    labels = ("1", "01", "001")
    made(tmp_path, [["file", "label"], *([f"images/{n}.png", labels[n % 3]] for n in range(30))])
    assert list_folder(tmp_path / "made", "folder").classes == ("001", "01", "1"), "whatever the hash seed"


def test_labels_are_part_of_the_identity(tmp_path: Path) -> None:
    table = rows(["file", "label"], "images/{}.png")
    made(tmp_path, table)
    before = card(tmp_path).fingerprint
    table[1][1], table[2][1] = table[2][1], table[1][1]
    made(tmp_path, table)
    assert card(tmp_path).fingerprint != before


def test_labels_of_large_data_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of large data a sample of the files is hashed, in which the table need not be."""
    monkeypatch.setattr(content, "WHOLE_BYTES", 1)
    monkeypatch.setattr(content, "SAMPLED_FILES", 1)
    table = [["file", "label"], *([f"images/{n}.png", ("cat", "dog")[n % 2]] for n in range(30))]
    made(tmp_path, table)
    monkeypatch.setattr(content, "sample", lambda files: [file for file in files if file.name == "images/0.png"])
    before = card(tmp_path).fingerprint
    table[3][1], table[4][1] = table[4][1], table[3][1]
    made(tmp_path, table)
    assert card(tmp_path).fingerprint != before


def spoiled(change: Mapping[int, Sequence[str]]) -> list[Sequence[str]]:
    """A sound table with other lines in place of some; its head is line 1."""
    sound: list[Sequence[str]] = [*rows(["file", "label"], "images/{}.png")]
    for line, row in change.items():
        sound[line - 1] = row
    return sound


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({3: ["images/77.png", "bee"]}, r"made/labels\.csv, line 3: there is no picture 'images/77\.png'; mend or"),
        ({3: ["other/1.png", "bee"]}, r"line 3: there is no picture 'other/1\.png'; mend or"),
        ({3: ["images/0.png", "bee"]}, r"line 3: images/0\.png has a row already, made/labels\.csv, line 2; a picture"),
        ({3: ["images/1.png", " "]}, r"made/labels\.csv, line 3 has no label"),
        ({3: ["images/1.png"]}, r"made/labels\.csv, line 3 has no label"),
        ({1: ["file", "label"], 3: ["", "bee"]}, r"line 3: there is no picture ''"),
    ],
)  # fmt: skip
def test_each_fault_is_named_with_its_line(tmp_path: Path, change: Mapping[int, Sequence[str]], sentence: str) -> None:
    made(tmp_path, spoiled(change))
    with pytest.raises(DataFault, match=sentence):
        card(tmp_path)


def test_a_name_of_two_pictures_is_refused(tmp_path: Path) -> None:
    folder = made(tmp_path, rows(["file", "label"], "{}.png"))
    write(folder, ["more/0.png"], {})
    with pytest.raises(DataFault, match=r"line 2: '0\.png' may be images/0\.png, more/0\.png; write the path from"):
        card(tmp_path)


def test_a_split_that_is_none_is_refused(tmp_path: Path) -> None:
    table = [["file", "label", "split"], *([f"images/{n}.png", animal(n), "fold 1"] for n in range(30))]
    made(tmp_path, table)
    with pytest.raises(
        DataFault, match="line 2: 'fold 1' in the column split names no split; write train, val or test"
    ):
        card(tmp_path)


def test_a_label_that_training_lacks_is_refused(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "made", [f"{number}.png" for number in range(33)],
        {"train.csv": rows(["file", "label"], "{}.png"), "val.csv": [["file", "label"], ["30.png", "dog"]]},
    )  # fmt: skip
    with pytest.raises(DataFault, match=r"made/val\.csv, line 2: no training picture has the label dog"):
        card(tmp_path)
    (folder / "train.csv").unlink()
    with pytest.raises(DataFault, match=r"made: the tables val\.csv name validation, but no training pictures"):
        card(tmp_path)


def test_two_tables_without_a_split_are_refused(tmp_path: Path) -> None:
    folder = made(tmp_path, rows(["file", "label"], "images/{}.png"))
    write(folder, [], {"more.csv": [["file", "label"]]})
    with pytest.raises(
        DataFault, match=r"made has the tables labels\.csv, more\.csv; keep one, or name each by its split"
    ):
        card(tmp_path)


def test_too_many_pictures_without_a_row_are_refused(tmp_path: Path) -> None:
    made(tmp_path, rows(["file", "label"], "images/{}.png", 28))
    with pytest.raises(
        DataFault, match=r"made: too many files would be left out: 2 of 30 files in images have no label"
    ):
        card(tmp_path)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"", b"a,b\n1,2\n", b'"' * 200_000])
def test_a_file_that_is_no_table_makes_no_data_set(tmp_path: Path, content: bytes) -> None:
    folder = made(tmp_path, [])
    (folder / "labels.csv").write_bytes(content)
    assert dataset_names(tmp_path) == ("digits",)
