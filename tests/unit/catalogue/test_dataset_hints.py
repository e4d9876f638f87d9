"""What is said when a data set is not there: where it was looked for, what is there, what is expected."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dpk_core.catalogue import datasets
from dpk_core.catalogue.datasets import check_dataset_name, dataset_names
from dpk_core.errors import InvalidRequest
from tests.unit.catalogue.npz_files import write_npz
from tests.unit.catalogue.picture_sets import write_folder


def refused(name: str, root: Path | None) -> tuple[str, str | None]:
    with pytest.raises(InvalidRequest) as caught:
        check_dataset_name(name, root, "dataset")
    assert caught.value.field == "dataset"
    caught.value.message.encode()
    return caught.value.message, caught.value.nearest


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data root with two data sets."""
    root = tmp_path / "data"
    write_folder(root, "flowers", counts={"train": 1})
    write_npz(root, "fashion")
    return root


def test_place_content_and_layout_are_named(root: Path) -> None:
    assert refused("folder/flowrs", root) == (
        "There is no data set 'folder/flowrs' under DPK_DATA_ROOT (the folder data). Data sets there: folder/flowers, "
        "npz/fashion, digits. Expected: flowrs/train/<class>/<picture>, perhaps with val and test beside train, or "
        "flowrs/<class>/<picture>, or a table flowrs/labels.csv of file_name and label.",
        "folder/flowers",
    )


def test_many_are_cut_short(tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / f"{number}.npz").touch()
    message, _ = refused("npz/x", tmp_path)
    assert message.count("npz/") == 1 + 8
    assert " and 5 more. Expected: x.npz with the arrays x_train, y_train, x_test, y_test, classes." in message


def test_without_a_data_root_that_is_said() -> None:
    assert refused("folder/flowers", None) == (
        "There is no data set 'folder/flowers': DPK_DATA_ROOT is not set on the server, so only digits is there.",
        "digits",
    )


def test_a_data_root_that_is_not_there_is_said(tmp_path: Path) -> None:
    message, nearest = refused("folder/flowers", tmp_path / "gone")
    assert message.endswith("DPK_DATA_ROOT (the folder gone) cannot be read on the server: No such file or directory.")
    assert nearest == "digits"


def test_a_data_root_that_cannot_be_read_is_said(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: object) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", refuse)
    message, _ = refused("folder/flowrs", root)
    assert message.endswith("DPK_DATA_ROOT (the folder data) cannot be read on the server: Permission denied.")


@pytest.mark.parametrize("name", ["imagenet/flowers", "parquet/flowers", "npz/flowers"])
def test_another_kind_of_the_same_name_is_offered(root: Path, name: str) -> None:
    message, nearest = refused(name, root)
    assert " It is there as folder/flowers. Expected: flowers" in message
    assert nearest == "folder/flowers"


@pytest.mark.parametrize("name", ["flowers", "flowers/train", "Folder/flowers", "torchvision/mnist", ""])
def test_a_name_without_a_kind_is_told_the_kinds(root: Path, name: str) -> None:
    message, _ = refused(name, root)
    kinds = "npz/<name>, folder/<name>, imagenet/<name>, parquet/<name>, boxes/<name>, torchvision/cifar10"
    assert f"Names are digits, {kinds}" in message


@pytest.mark.parametrize(
    "name",
    ["folder/", "npz/", "folder/../data", "npz/../secret", "folder/a\0b", "folder/.flowers", "folder/" + 190 * "é"],
)
def test_a_name_cannot_leave_the_data_root(root: Path, name: str) -> None:
    write_npz(root.parent, "secret")
    (root / "flowers").rename(root / ".flowers")
    assert refused(name, root)[1] in ("npz/fashion", "digits")


def test_an_empty_folder_and_a_flat_one_are_described(root: Path) -> None:
    (root / "empty").mkdir()
    for name in ("cats", "dogs"):
        (root / "flat" / name).mkdir(parents=True)
    (root / "flat" / "LICENSE").touch()
    assert "The folder empty is empty. Expected: empty/train/<class>/<picture>" in refused("folder/empty", root)[0]
    assert (
        "The folder flat holds 2 folders (cats, dogs) and 1 file (LICENSE). Expected: flat/train/<class>/<picture>"
        in refused("folder/flat", root)[0]
    )


@pytest.mark.parametrize(
    ("table", "why"),
    [
        (b"name,label\n", "its first line names no column of pictures (as file_name), only name, label."),
        (b"file;breed\n", "its first line names no column of labels (as label), only file, breed."),
        (b"0.png,ant\n", "names no column of pictures (as file_name) and none of labels (as label), only 0.png, ant."),
        (b"", "names no column of pictures (as file_name) and none of labels (as label), only nothing."),
        (b"file,caf\xe9\n", "it is not in UTF-8."),
    ],
)
def test_why_a_table_is_none(root: Path, table: bytes, why: str) -> None:
    (root / "pets").mkdir()
    (root / "pets" / "labels.csv").write_bytes(table)
    message, _ = refused("folder/pets", root)
    assert "holds 1 file (labels.csv). labels.csv is no table of labels: " in message
    assert why in message


def test_looking_for_one_looks_at_no_other(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "dataset_names", lambda _: pytest.fail("all were listed"))
    check_dataset_name("folder/flowers", root, "dataset")
    check_dataset_name("npz/fashion", root, "dataset")


def test_names_that_are_not_text_are_mentioned_and_not_offered(root: Path) -> None:
    for name in (b"photos_caf\xe9", b"more_caf\xe9.npz"):
        (Path(os.fsdecode(os.fsencode(root) + b"/" + name)) / "train").mkdir(parents=True)
    assert dataset_names(root) == ("digits", "folder/flowers", "npz/fashion")
    message, nearest = refused("folder/photos_cafe", root)
    assert r"Names that are not UTF-8 cannot be asked for: more_caf\xe9.npz, photos_caf\xe9; rename them." in message
    assert nearest == "folder/flowers"
    assert refused("folder/photos_caf\udce9", root)[1] == "folder/flowers"
