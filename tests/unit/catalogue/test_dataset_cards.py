"""Data set cards tell the truth or say what is wrong."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dpk_core.catalogue.datasets import dataset_card, dataset_check, dataset_names
from dpk_core.errors import DataFault, InvalidRequest
from dpk_core.recipes import RECIPES
from tests.unit.catalogue.npz_files import write_npz


class TestNames:
    def test_digits_is_always_there(self) -> None:
        assert dataset_names(None) == ("digits",)

    def test_every_file_of_the_data_root_is_a_data_set(self, tmp_path: Path) -> None:
        write_npz(tmp_path, "b")
        write_npz(tmp_path, "a")
        assert dataset_names(tmp_path) == ("digits", "npz/a", "npz/b")

    def test_unknown_name_offers_the_nearest(self, tmp_path: Path) -> None:
        write_npz(tmp_path, "fashion")
        with pytest.raises(InvalidRequest, match="no data set 'npz/fashoin'") as caught:
            dataset_card("npz/fashoin", tmp_path, "dataset")
        assert (caught.value.field, caught.value.nearest) == ("dataset", "npz/fashion")

    def test_a_name_cannot_leave_the_data_root(self, tmp_path: Path) -> None:
        (tmp_path / "root").mkdir()
        write_npz(tmp_path, "secret")
        with pytest.raises(InvalidRequest):
            dataset_card("npz/../secret", tmp_path / "root", "dataset")


class TestNpzCard:
    def test_facts(self, tmp_path: Path) -> None:
        path = write_npz(tmp_path)
        card = dataset_card("npz/made", tmp_path, "dataset")
        assert (card.classes, card.channels, card.side) == (3, 1, 8)
        assert (card.train_pictures, card.validation_pictures, card.test_pictures) == (48, 12, 12)
        assert card.default_recipe == "small"
        assert hashlib.sha256(path.read_bytes()).hexdigest() in card.fingerprint

    @pytest.mark.parametrize(("side", "named"), [(63, "small"), (64, "photos")])
    def test_larger_pictures_are_flipped_and_cropped(self, tmp_path: Path, side: int, named: str) -> None:
        write_npz(tmp_path, x_train=np.zeros((60, side, side), np.uint8), x_test=np.zeros((12, side, side), np.uint8))
        default = dataset_card("npz/made", tmp_path, "dataset").default_recipe
        assert default == named
        assert (RECIPES[default].augmentation == "resized_crop_flip") == (side >= 64)

    def test_colour_pictures(self, tmp_path: Path) -> None:
        write_npz(tmp_path, x_train=np.zeros((60, 8, 8, 3), np.uint8), x_test=np.zeros((12, 8, 8, 3), np.uint8))
        assert dataset_card("npz/made", tmp_path, "dataset").channels == 3

    def test_a_changed_file_gets_a_new_fingerprint(self, tmp_path: Path) -> None:
        path = write_npz(tmp_path)
        before = dataset_card("npz/made", tmp_path, "dataset").fingerprint
        status = path.stat()
        write_npz(tmp_path, y_test=np.zeros(12, np.uint8))
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000_000))
        assert dataset_card("npz/made", tmp_path, "dataset").fingerprint != before


PICTURES = np.zeros((60, 8, 8), np.uint8)
BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "missing array": ({"y_test": None}, r"holds no array y_test, only x_train, y_train, x_test, classes; it needs"),
    "float pictures": ({"x_train": PICTURES.astype(np.float32)}, "x_train holds float32; pictures must be uint8"),
    "oblong pictures": ({"x_train": np.zeros((60, 8, 9), np.uint8)}, r"x_train has the shape \(60, 8, 9\)"),
    "two channels": ({"x_test": np.zeros((12, 8, 8, 2), np.uint8)}, r"x_test has the shape \(12, 8, 8, 2\)"),
    "other test pictures": ({"x_test": np.zeros((12, 9, 9), np.uint8)}, "those of x_test"),
    "no test pictures": (
        {"x_test": np.zeros((0, 8, 8), np.uint8), "y_test": np.zeros(0, np.uint8)},
        "x_test holds no pictures",
    ),
    "float labels": ({"y_train": np.zeros(60)}, "y_train holds float64; labels must be integers"),
    "text labels": ({"y_train": np.array(["a", "b", "c"] * 20)}, "y_train holds text; labels must be integers, each"),
    "labels in a column": ({"y_train": np.zeros((60, 1), int)}, r"shape \(60, 1\) for 60 pictures; it must be \(60,\)"),
    "too few labels": ({"y_train": np.zeros(59, np.int64)}, r"y_train has the shape \(59,\) for 60 pictures"),
    "label outside": ({"y_test": np.full(12, 3)}, "y_test has labels from 3 to 3, but classes lists 3"),
    "negative label": ({"y_train": np.full(60, -1)}, "y_train has labels from -1"),
    "one class": ({"classes": np.array(["a"])}, "classes has the shape"),
    "class without pictures": ({"y_train": np.arange(60) % 2}, "class 2 of 3 has no picture"),
    "pickled classes": ({"classes": np.array(["a", None, "b"], dtype=object)}, "classes holds Python objects"),
    "pickled labels": ({"y_train": np.array([None] * 60, dtype=object)}, "y_train holds Python objects; labels"),
    "nothing to validate": (
        {"x_train": PICTURES[:6], "y_train": np.arange(6) % 3},
        "too few training pictures to hold 20% out",
    ),
}  # fmt: skip


class TestBrokenFiles:
    @pytest.mark.parametrize(("changes", "sentence"), BROKEN.values(), ids=BROKEN)
    def test_each_fault_is_named(self, tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
        write_npz(tmp_path, **changes)
        with pytest.raises(DataFault, match=sentence):
            dataset_card("npz/made", tmp_path, "dataset")

    def test_no_zip_file(self, tmp_path: Path) -> None:
        (tmp_path / "made.npz").write_bytes(b"plain nonsense")
        with pytest.raises(DataFault, match=r"made\.npz cannot be read"):
            dataset_card("npz/made", tmp_path, "dataset")

    def test_truncated(self, tmp_path: Path) -> None:
        path = write_npz(tmp_path)
        path.write_bytes(path.read_bytes()[:2000])
        with pytest.raises(DataFault, match=r"made\.npz cannot be read"):
            dataset_card("npz/made", tmp_path, "dataset")


def header_of(text: str) -> bytes:
    """An .npy file with this header and no values."""
    line = text.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(line).to_bytes(2, "little") + line


def made_up(path: Path, header: bytes, body: bytes = b"", **kind: Any) -> None:
    """A data set whose labels have this header."""
    write_npz(path.parent, path.stem, y_train=None)
    with zipfile.ZipFile(path, "a") as archive:
        entry = b"\x93NUMPY\x02\x00" + len(header).to_bytes(4, "little") + header + body
        archive.writestr("y_train.npy", entry, **kind)


@pytest.mark.parametrize(
    "header",
    [
        header_of("{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999999,)}"),
        header_of("{'descr': '|u1', 'fortran_order': False, 'shape': (-1,)}"),
        header_of("[" * 9000), header_of("-" * 9000 + "1"), header_of("{'descr': {}}"), b"\x93NUMPY\x07\x00", b"",
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["x_train", "y_test", "classes"])
def test_headers_of_nonsense_are_refused(tmp_path: Path, name: str, header: bytes) -> None:
    changes: dict[str, Any] = {name: None}
    path = write_npz(tmp_path, **changes)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"{name}.npy", header)
    with pytest.raises(DataFault, match=r"made\.npz"):
        dataset_card("npz/made", tmp_path, "dataset")


def test_classes_may_be_bytes(tmp_path: Path) -> None:
    write_npz(tmp_path, classes=np.array([b"a", b"b", b"c"]))
    found = dataset_check("npz/made", tmp_path, "dataset")
    assert [each.name for each in found.classes] == ["a", "b", "c"]


@pytest.mark.parametrize(
    "header",
    [
        b"{'descr': '<i8', 'fortran_order': False, 'shape': (1000000000000000,)}",
        b"{'descr': '<i8', 'fortran_order': False, 'shape': (-5,)}",
        b"{'descr': '<i8', 'fortran_order': False, 'shape': (" + b"2," * 3000 + b")}",
        b"{'descr': '<i8', 'fortran_order': False, 'shape': (" + b"9" * 4000 + b",)}",
        b"{'descr': '<i8', 'fortran_order': False, 'shape': 7}",
        b"{'descr': 'V-1', 'fortran_order': False, 'shape': (60,)}",
        b"(" * 5000,
        b"[" * 9000,
        b"-" * 9000,
        b"{1: 2}",
        b"\xff\xfe\x00",
        b"",
    ],
)
def test_a_header_that_was_made_up_is_the_data_sets_fault(tmp_path: Path, header: bytes) -> None:
    made_up(tmp_path / "made.npz", header)
    with pytest.raises(DataFault, match=r"^made\.npz[: ]") as refused:
        dataset_card("npz/made", tmp_path, "dataset")
    assert len(str(refused.value)) < 400


def test_a_member_that_is_packed_in_an_unknown_way_or_broken(tmp_path: Path) -> None:
    made_up(tmp_path / "made.npz", b"{}", bytes(5000), compress_type=zipfile.ZIP_LZMA)
    content = bytearray((tmp_path / "made.npz").read_bytes())
    begin = content.rfind(b"y_train.npy", 0, content.rfind(b"PK\x01\x02")) + len(b"y_train.npy")
    content[begin + 4 : begin + 40] = bytes(36)
    (tmp_path / "made.npz").write_bytes(content)
    with pytest.raises(DataFault, match=r"made\.npz cannot be read"):
        dataset_card("npz/made", tmp_path, "dataset")


def test_cards_need_neither_torch_nor_sklearn() -> None:
    code = (
        "import sys; from dpk_core.catalogue.datasets import dataset_card; dataset_card('digits', None, 'dataset');"
        "sys.exit(bool({'torch', 'sklearn'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
