"""The facts of a data set: every one is counted from files that have it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dpk_core.catalogue import content, copies
from dpk_core.catalogue.built_in import DIGITS_CHECK, DIGITS_SHARES
from dpk_core.catalogue.copies import Copies
from dpk_core.catalogue.dataset_check import CHECK_VERSION, ClassPictures, DatasetCheck
from dpk_core.catalogue.datasets import dataset_card, dataset_check, unused_entries
from dpk_core.catalogue.headers import ORIENTATION, survey
from dpk_core.catalogue.left_out import LeftOutKind
from dpk_core.catalogue.splits import stratified
from dpk_core.codec import from_json, to_json
from dpk_core.errors import DataFault
from tests.unit.catalogue.npz_files import write_npz
from tests.unit.catalogue.picture_sets import CLASSES, encoded, pixels, write_folder, write_parquet


def check(root: Path, name: str = "folder/made") -> DatasetCheck:
    return dataset_check(name, root, "dataset")


def save(picture: Image.Image, path: Path, mark: int = 1) -> None:
    marks = Image.Exif()
    marks[ORIENTATION] = mark
    picture.save(path, exif=marks)


def test_pictures_by_class_and_split_and_what_was_left_out(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, counts={"train": 10, "val": 4})
    (folder / "train" / "ant" / "source.txt").touch()
    found = check(tmp_path)
    assert found.version == CHECK_VERSION
    assert found.classes == tuple(ClassPictures(name=name, train=8, validation=4, test=2) for name in CLASSES)
    assert (found.held_out, found.base_rate, found.smallest.name) == (("test",), 1 / 3, "ant")
    assert found.left_out == (LeftOutKind(what=".txt", count=1, example="train/ant/source.txt"),)


def test_it_is_plain_json_and_the_card_is_the_same_in_short(tmp_path: Path) -> None:
    write_folder(tmp_path, counts={"train": 10, "val": 4})
    found = check(tmp_path)
    assert from_json(DatasetCheck, json.loads(json.dumps(to_json(found)))) == found
    card = dataset_card("folder/made", tmp_path, "dataset")
    assert (card.fingerprint, card.train_pictures, card.test_pictures) == (found.fingerprint, found.train, found.test)


def test_sizes_and_kinds_of_pictures(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, counts={"train": 40}) / "train" / "ant"
    save(Image.fromarray(pixels(1, 12, 20)), folder / "000.png", mark=6)
    save(Image.fromarray(pixels(2, channels=1)), folder / "001.png")
    save(Image.fromarray(pixels(3)).convert("RGBA"), folder / "002.png", mark=3)
    save(Image.fromarray(np.zeros((12, 12), np.uint16)), folder / "003.png")
    save(Image.fromarray(pixels(4, 300, 400)), folder / "004.png")
    save(Image.fromarray(pixels(5, 6, 6)), folder / "005.png")
    found = check(tmp_path)
    seen = found.survey
    assert seen is not None
    assert (seen.pictures, seen.turned, seen.transparent, seen.grey, seen.deep) == (120, 2, 1, 2, 1)
    assert (seen.oblong, seen.most_oblong, seen.far_larger) == (1, 20 / 12, 1)
    assert (seen.smallest, seen.usual_size, seen.usual) == ((6, 6), (12, 12), 117)
    assert (seen.largest, seen.largest_name) == ((400, 300), "made/train/ant/004.png")
    # Three pictures of 120 are no reason to read all of them at another size.
    assert (found.side, found.channels) == (12, 3)


def test_a_turned_oblong_picture_counts_upright(tmp_path: Path) -> None:
    for number, (mark, expected) in enumerate([(1, (20, 12)), (6, (12, 20)), (3, (20, 12)), (8, (12, 20))]):
        for ending in ("jpg", "tiff", "png"):
            path = tmp_path / f"{number}.{ending}"
            save(Image.fromarray(pixels(1, 12, 20)), path, mark)
            assert survey([("x", path)]).usual_size == expected, (mark, ending)


def test_all_broken_pictures_are_named(tmp_path: Path) -> None:
    folder = write_folder(tmp_path)
    for number in range(3):
        (folder / "train" / "bee" / f"00{number}.png").write_bytes(b"x")
    with pytest.raises(DataFault) as caught:
        check(tmp_path)
    assert str(caught.value) == (
        "made/train/bee/000.png cannot be read as a picture (AVIF, BMP, GIF, JPEG, JPEG2000, PNG, PPM, TIFF, WEBP); "
        "mend or remove it. So it is with 2 more: made/train/bee/001.png, made/train/bee/002.png."
    )


def test_pictures_that_are_cut_short_are_named_by_the_check(tmp_path: Path) -> None:
    """As a download leaves them that was ended early; a picture with something behind its end is whole."""
    folder = write_folder(tmp_path)
    inside = folder / "train" / "bee"
    whole = {kind: encoded(pixels(1, 60, 60), kind) for kind in ("jpeg", "png", "gif")}
    for kind, data in whole.items():
        (inside / f"behind.{kind}").write_bytes(data + bytes(100))
    assert check(tmp_path).survey is not None
    for kind, data in whole.items():
        # A GIF's last byte may also be anywhere in it.
        end = data.index(b";", len(data) // 2) + 9 if kind == "gif" else len(data) // 2
        (inside / f"cut.{kind}").write_bytes(data[:end])
    with pytest.raises(DataFault) as caught:
        check(tmp_path)
    assert str(caught.value) == (
        "made/train/bee/cut.gif is cut short and cannot be decoded; mend or remove it. So it is with 2 more: "
        "made/train/bee/cut.jpeg, made/train/bee/cut.png."
    )


def leak(folder: Path) -> None:
    """Two validation pictures and three test pictures are copies; a training picture lies under two classes."""
    for number in range(2):
        shutil.copy(folder / "train" / "ant" / f"00{number}.png", folder / "val" / "ant" / f"copy{number}.png")
        shutil.copy(folder / "val" / "bee" / f"00{number}.png", folder / "test" / "bee" / f"copy{number}.png")
    shutil.copy(folder / "train" / "cat" / "005.png", folder / "test" / "cat" / "copy.png")
    shutil.copy(folder / "train" / "cat" / "006.png", folder / "train" / "bee" / "cat.png")


class TestCopies:
    def test_across_splits_and_classes(self, tmp_path: Path) -> None:
        leak(write_folder(tmp_path, counts={"train": 10, "val": 4, "test": 4}))
        assert check(tmp_path).copies == Copies(
            validation_pictures=14, validation=2, test_pictures=15, test=3, train=2, two_classes=2,
            example=("val/ant/copy0.png", "train/ant/000.png"),
        )  # fmt: skip

    def test_of_pictures_that_are_held_out(self, tmp_path: Path) -> None:
        """Repeated training pictures leak into validation, though there is but one folder."""
        folder = write_folder(tmp_path, counts={"train": 20})
        for path in sorted((folder / "train").rglob("*.png")):
            shutil.copy(path, path.with_name(f"again-{path.name}"))
        found = check(tmp_path).copies
        assert found is not None
        assert found.validation > found.validation_pictures / 2

    def test_in_large_data_a_sample_is_compared(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(content, "WHOLE_BYTES", 100)
        folder = write_folder(tmp_path, counts={"train": 10, "val": 4, "test": 4})
        leak(folder)
        found = check(tmp_path).copies
        assert found is not None
        assert (found.validation_pictures, found.validation, found.test, found.train) == (14, 2, 1, None)
        assert found.example == ("val/ant/copy0.png", "train/ant/000.png")
        (folder / "val" / "ant" / "copy0.png").unlink()
        monkeypatch.setattr(copies, "SAMPLED", 3)
        found = check(tmp_path).copies
        assert found is not None
        assert (found.validation_pictures, found.test_pictures) == (3, 3)

    def test_of_large_data_without_compression_nothing_is_compared(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(content, "WHOLE_BYTES", 100)
        monkeypatch.setattr(copies, "MOST_CANDIDATES", 10)
        folder = write_folder(tmp_path)
        for number, path in enumerate(sorted((folder / "train").rglob("*.png"))):
            path.with_suffix(".bmp").write_bytes(encoded(pixels(number), "bmp"))
            path.unlink()
        assert check(tmp_path).copies is None

    def test_in_parquet(self, tmp_path: Path) -> None:
        labels = [row % 3 for row in range(30)]
        write_parquet(tmp_path / "made" / "train.parquet", labels)
        pictures = [encoded(pixels(seed)) for seed in (3, *range(100, 108))]
        write_parquet(tmp_path / "made" / "validation.parquet", labels[:9], pictures=pictures)
        found = check(tmp_path, "parquet/made").copies
        assert found is not None
        assert (found.validation_pictures, found.validation) == (9, 1)
        assert found.example[0] == "row 0 of validation"

    def test_in_npz(self, tmp_path: Path) -> None:
        train = np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8)
        write_npz(tmp_path, x_train=train, x_test=train[:12])
        found = check(tmp_path, "npz/made")
        assert found.copies == Copies(
            validation_pictures=12, validation=0, test_pictures=12, test=12, train=0, two_classes=0,
            example=("x_test[0]", "x_train[0]"),
        )  # fmt: skip
        assert [each.name for each in found.classes] == ["a", "b", "c"]
        assert found.survey is not None
        assert (found.survey.grey, found.survey.usual_size) == (72, (8, 8))


def test_the_facts_of_digits_are_those_of_its_pictures() -> None:
    from sklearn.datasets import load_digits

    labels = load_digits().target.astype(np.int64)
    parts = [np.bincount(labels[part]).tolist() for part in stratified(labels, DIGITS_SHARES)]
    assert parts == [
        [getattr(each, split) for each in DIGITS_CHECK.classes] for split in ("train", "validation", "test")
    ]


def test_what_lies_beside_data_sets(tmp_path: Path) -> None:
    write_folder(tmp_path)
    write_npz(tmp_path, "other")
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "a.pdf").touch()
    (tmp_path / "notes.txt").touch()
    (tmp_path / ".hidden").touch()
    (tmp_path / "cifar-100-python").mkdir()
    assert unused_entries(tmp_path) == [("notes.txt", "is a file and no .npz"), ("papers", "holds 1 file (a.pdf)")]
    assert unused_entries(None) == unused_entries(tmp_path / "gone") == []
