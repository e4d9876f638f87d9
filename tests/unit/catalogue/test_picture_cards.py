"""Cards of picture files: facts from listings and headers, faults by name."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dpk_core.catalogue import content, datasets, headers
from dpk_core.catalogue.cifar import OFFICIAL
from dpk_core.catalogue.datasets import DatasetCard, dataset_card, dataset_names
from dpk_core.errors import DataFault, InvalidRequest
from tests.unit.catalogue.picture_sets import CLASSES, encoded, notes, pixels, write_folder, write_parquet

SYNSETS = ("n01440764", "n01443537", "n01484850")


def card(root: Path, name: str = "folder/made") -> DatasetCard:
    return dataset_card(name, root, "dataset")


def sizes(found: DatasetCard) -> tuple[int, int, int]:
    return found.train_pictures, found.validation_pictures, found.test_pictures


class TestNames:
    def test_each_kind_is_found_by_its_layout(self, tmp_path: Path) -> None:
        write_folder(tmp_path, "flowers")
        write_folder(tmp_path, "small_net", counts={"train": 5, "val": 2}, classes=SYNSETS)
        (tmp_path / "shards").mkdir()
        (tmp_path / "shards" / "train-00000-of-00001.parquet").touch()
        (tmp_path / "cifar-100-python").mkdir()
        (tmp_path / "papers").mkdir()
        (tmp_path / ".hidden" / "train").mkdir(parents=True)
        assert dataset_names(tmp_path) == (
            "digits", "folder/flowers", "imagenet/small_net", "parquet/shards", "torchvision/cifar100",
        )  # fmt: skip

    def test_a_folder_that_may_not_be_read_is_passed_over(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_folder(tmp_path, "ours")
        (tmp_path / "lost+found").mkdir()
        monkeypatch.setattr(os, "access", lambda path, _: Path(path).name == "ours")
        assert dataset_names(tmp_path) == ("digits", "folder/ours")

    def test_a_name_of_the_wrong_kind_offers_the_right_one(self, tmp_path: Path) -> None:
        write_folder(tmp_path)
        with pytest.raises(InvalidRequest, match="no data set 'imagenet/made'") as caught:
            card(tmp_path, "imagenet/made")
        assert caught.value.nearest == "folder/made"


class TestFolderCard:
    def test_facts(self, tmp_path: Path) -> None:
        write_folder(tmp_path, counts={"train": 10, "val": 4, "test": 3})
        found = card(tmp_path)
        assert (found.classes, found.channels, found.side) == (3, 3, 12)
        assert sizes(found) == (30, 12, 9)
        assert found.fingerprint.startswith("sha256:")

    @pytest.mark.parametrize(
        ("counts", "expected"),
        [({"train": 10}, (18, 6, 6)), ({"train": 10, "val": 4}, (24, 12, 6)), ({"train": 10, "test": 4}, (24, 6, 12))],
    )
    def test_missing_splits_are_held_out_of_train(
        self, tmp_path: Path, counts: dict[str, int], expected: tuple[int, int, int]
    ) -> None:
        write_folder(tmp_path, counts=counts)
        assert sizes(card(tmp_path)) == expected

    def test_imagenet_reports_on_val_and_validates_on_held_out_pictures(self, tmp_path: Path) -> None:
        folder = write_folder(tmp_path, counts={"train": 10, "val": 4}, classes=SYNSETS)
        (folder / "test").mkdir()
        (folder / "test" / "ILSVRC2012_test_00000001.JPEG").touch()
        assert sizes(card(tmp_path, "imagenet/made")) == (24, 6, 12)

    def test_grey_pictures(self, tmp_path: Path) -> None:
        folder = write_folder(tmp_path, channels=1)
        assert card(tmp_path).channels == 1
        (folder / "train" / "ant" / "000.png").write_bytes(encoded(pixels(0)))
        assert card(tmp_path).channels == 3

    def test_working_side(self, tmp_path: Path) -> None:
        folder = write_folder(tmp_path, "oblong", size=(20, 30))
        assert card(tmp_path, "folder/oblong").side == 30
        (folder / "dataset.json").write_text('{"fit": "middle"}')
        assert card(tmp_path, "folder/oblong").side == 20
        (folder / "dataset.json").unlink()
        for number in range(10):
            (folder / "train" / "ant" / f"{number:03}.png").write_bytes(encoded(pixels(0, 20, 97)))
        assert card(tmp_path, "folder/oblong").side == 224
        write_folder(tmp_path, "photographs", counts={"train": 5}, size=(97, 97))
        assert card(tmp_path, "folder/photographs").side == 224

    def test_a_declared_side_is_part_of_the_identity(self, tmp_path: Path) -> None:
        folder = write_folder(tmp_path)
        before = card(tmp_path)
        (folder / "dataset.json").write_text('{"side": 64}')
        after = card(tmp_path)
        assert (after.side, before.side) == (64, 12)
        assert after.fingerprint != before.fingerprint

    def test_other_files_are_left_alone(self, tmp_path: Path) -> None:
        folder = write_folder(tmp_path)
        before = card(tmp_path)
        (folder / "train" / "ant" / "notes.txt").write_text("seen in the garden")
        (folder / "train" / "ant" / "._000.png").write_bytes(b"nonsense of a file system")
        (folder / "train" / ".cache").mkdir()
        after = card(tmp_path)
        assert after.fingerprint == before.fingerprint
        assert notes(after) == (
            "Left out: 1 file ends in .txt, e.g. train/ant/notes.txt.",
            "Left out: 1 file is hidden by a leading dot, e.g. train/ant/._000.png.",
        )


class TestFingerprint:
    def test_it_follows_the_content(self, tmp_path: Path) -> None:
        folder = write_folder(tmp_path)
        before = card(tmp_path).fingerprint
        assert card(tmp_path).fingerprint == before
        one, other = folder / "train" / "ant" / "000.png", folder / "train" / "bee" / "000.png"
        (first, second) = one.read_bytes(), other.read_bytes()
        one.write_bytes(second)
        other.write_bytes(first)
        assert card(tmp_path).fingerprint != before

    def test_it_does_not_follow_place_and_time(self, tmp_path: Path) -> None:
        folder = write_folder(tmp_path)
        before = card(tmp_path).fingerprint
        shutil.copytree(folder, tmp_path / "other" / "made")
        os.utime(tmp_path / "other" / "made" / "train" / "ant" / "000.png", (0, 0))
        assert card(tmp_path / "other").fingerprint == before

    def test_it_is_worked_out_once(self, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = write_folder(tmp_path)
        before, listed = card(tmp_path), sorted(folder.rglob("*"))
        assert len(list(own_cache.iterdir())) == 1
        assert sorted(folder.rglob("*")) == listed
        monkeypatch.setattr("dpk_core.catalogue.pictures._find_out", lambda _: pytest.fail("worked out again"))
        assert card(tmp_path) == before

    def test_without_a_cache_it_is_the_same(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write_folder(tmp_path)
        before = card(tmp_path).fingerprint
        (tmp_path / "file").touch()
        monkeypatch.setenv("DPK_DATA_CACHE", str(tmp_path / "file" / "cannot be"))
        assert card(tmp_path).fingerprint == before

    def test_the_cache_has_a_place_of_its_own(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("DPK_DATA_CACHE")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert content.cache_folder() == tmp_path / "dpk-select"
        monkeypatch.delenv("XDG_CACHE_HOME")
        assert content.cache_folder() == Path.home() / ".cache" / "dpk-select"


class TestFingerprintOfLargeData:
    @pytest.fixture(autouse=True)
    def everything_is_large(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(content, "WHOLE_BYTES", 100)
        monkeypatch.setattr(content, "SAMPLED_FILES", 4)
        monkeypatch.setattr(content, "BLOCK", 16)

    def changed(self, folder: Path, change: Callable[[Path], object], seen: bool) -> bool:
        """Whether the fingerprint follows a change of a file that is, or is not, in the sample."""
        before = card(folder.parent)
        listing = [content.DataFile(str(path.relative_to(folder)), 99, 0) for path in folder.rglob("*.png")]
        sampled = {file.name for file in content.sample(listing)}
        assert len(sampled) == 4
        change(folder / next(file.name for file in listing if (file.name in sampled) == seen))
        return card(folder.parent).fingerprint != before.fingerprint

    def test_it_says_that_it_is_of_a_sample(self, tmp_path: Path) -> None:
        write_folder(tmp_path)
        assert card(tmp_path).fingerprint.startswith("sampled-sha256:")

    @pytest.mark.parametrize("seen", [True, False])
    def test_a_file_gone_is_always_noticed(self, tmp_path: Path, seen: bool) -> None:
        assert self.changed(write_folder(tmp_path), Path.unlink, seen)

    @pytest.mark.parametrize("seen", [True, False])
    def test_another_length_is_always_noticed(self, tmp_path: Path, seen: bool) -> None:
        assert self.changed(write_folder(tmp_path), lambda path: path.write_bytes(path.read_bytes() + b"x"), seen)

    @pytest.mark.parametrize("seen", [True, False])
    def test_a_change_of_equal_length_is_noticed_in_the_sample(self, tmp_path: Path, seen: bool) -> None:
        folder = write_folder(tmp_path)
        assert self.changed(folder, lambda path: path.write_bytes(path.read_bytes()[:-1] + b"x"), seen) == seen


class TestParquetCard:
    def test_facts(self, tmp_path: Path) -> None:
        labels = [row % 3 for row in range(30)]
        write_parquet(tmp_path / "made" / "data" / "train-00000-of-00002.parquet", labels[:17], names=CLASSES)
        write_parquet(tmp_path / "made" / "data" / "train-00001-of-00002.parquet", labels[17:], names=CLASSES)
        write_parquet(tmp_path / "made" / "data" / "test-00000-of-00001.parquet", labels[:9], names=CLASSES)
        found = card(tmp_path, "parquet/made")
        assert (found.classes, found.channels, found.side) == (3, 3, 12)
        assert sizes(found) == (24, 6, 9)

    def test_classes_without_names_are_counted(self, tmp_path: Path) -> None:
        write_parquet(tmp_path / "made" / "train.parquet", [row % 4 for row in range(40)], label_column="kind")
        write_parquet(tmp_path / "made" / "validation.parquet", [0, 1], label_column="kind")
        found = card(tmp_path, "parquet/made")
        assert (found.classes, sizes(found)) == (4, (32, 2, 8))

    def test_withheld_test_labels_make_no_test_split(self, tmp_path: Path) -> None:
        write_parquet(tmp_path / "made" / "train.parquet", [row % 3 for row in range(30)])
        write_parquet(tmp_path / "made" / "test.parquet", [-1] * 5)
        assert sizes(card(tmp_path, "parquet/made")) == (18, 6, 6)

    @pytest.mark.parametrize(
        ("labels", "pictures", "sentence"),
        [
            ([0, 1, 2, 3], None, r"made/train\.parquet, row 3: the label is 3, but there are 3 classes"),
            ([0, 1, -1, 2], None, r"made/train\.parquet, row 2: the label is -1"),
            ([0, None, 1, 2], None, r"made/train\.parquet, row 1 has no label"),
            ([0, 1, 0, 1], None, "made: the class cat has no training picture"),
            ([0, 1, 2] * 5, [*[encoded(pixels(0))] * 14, None], r"train\.parquet, row 14 holds no bytes"),
            ([0, 1, 2] * 5, [*[encoded(pixels(0))] * 14, b"no"], r"train\.parquet, row 14 cannot be read as a picture"),
            ([], None, r"made/train\.parquet holds no pictures"),
        ],
    )  # fmt: skip
    def test_each_fault_is_named(
        self, tmp_path: Path, labels: list[int | None], pictures: list[bytes | None] | None, sentence: str
    ) -> None:
        write_parquet(tmp_path / "made" / "train.parquet", labels, names=CLASSES, pictures=pictures)
        with pytest.raises(DataFault, match=sentence):
            card(tmp_path, "parquet/made")

    def test_no_parquet_file(self, tmp_path: Path) -> None:
        write_parquet(tmp_path / "made" / "train.parquet", [0, 1]).write_bytes(b"PAR1 nonsense")
        with pytest.raises(DataFault, match=r"made/train\.parquet cannot be read as a Parquet file"):
            card(tmp_path, "parquet/made")

    @pytest.mark.parametrize("part", ["pictures", "labels"])
    def test_pages_of_nonsense(self, tmp_path: Path, part: str) -> None:
        path = write_parquet(tmp_path / "made" / "train.parquet", [0, 1] * 10)
        content = path.read_bytes()
        from pyarrow import parquet

        group = parquet.ParquetFile(path).metadata.row_group(1)
        place = group.column(0 if part == "pictures" else 2).data_page_offset
        path.write_bytes(content[:place] + b"\xff" * 20 + content[place + 20 :])
        with pytest.raises(DataFault, match=r"made/train\.parquet cannot be read as a Parquet file"):
            card(tmp_path, "parquet/made")

    def test_shards_must_agree(self, tmp_path: Path) -> None:
        write_parquet(tmp_path / "made" / "train-0.parquet", [0, 1] * 10)
        write_parquet(tmp_path / "made" / "train-1.parquet", [0, 1] * 10, label_column="other")
        with pytest.raises(DataFault, match=r"made/train-1\.parquet has no column label"):
            card(tmp_path, "parquet/made")

    def test_columns_must_be_there(self, tmp_path: Path) -> None:
        arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
        from pyarrow import parquet

        (tmp_path / "made").mkdir()
        parquet.write_table(arrow.table({"text": ["a"], "label": [0]}), tmp_path / "made" / "train.parquet")
        with pytest.raises(DataFault, match="has no column of pictures"):
            card(tmp_path, "parquet/made")

    def test_large_files_are_surveyed_at_their_beginning(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(content, "WHOLE_BYTES", 100)
        monkeypatch.setattr("dpk_core.catalogue.parquet.SURVEYED_ROWS", 5)
        pictures = [*[encoded(pixels(0))] * 5, *[encoded(pixels(0, 20, 20))] * 25]
        write_parquet(tmp_path / "made" / "train.parquet", [0, 1, 2] * 10, pictures=pictures)
        assert card(tmp_path, "parquet/made").side == 12

    def test_without_pyarrow_there_is_one_sentence(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        (tmp_path / "made").mkdir()
        (tmp_path / "made" / "train.parquet").touch()
        with pytest.raises(DataFault, match=r"made/train\.parquet needs pyarrow, which is not installed here"):
            card(tmp_path, "parquet/made")


class TestOfficialCifar:
    @pytest.mark.parametrize(("name", "classes"), [("torchvision/cifar10", 10), ("torchvision/cifar100", 100)])
    def test_facts_are_known_beforehand(self, tmp_path: Path, name: str, classes: int) -> None:
        official = OFFICIAL[name]
        (tmp_path / official.folder).mkdir()
        for file, _ in official.files:
            (tmp_path / official.folder / file).touch()
        found = card(tmp_path, name)
        assert (found.classes, found.channels, found.side, found.default_recipe) == (classes, 3, 32, "cifar100")
        assert sizes(found) == (40_000, 10_000, 10_000)
        assert found.fingerprint.startswith("md5-list:")

    def test_absent_files_are_named_with_what_to_do(self, tmp_path: Path) -> None:
        with pytest.raises(DataFault, match="cifar-100-python/train is not under the data root"):
            card(tmp_path, "torchvision/cifar100")
        with pytest.raises(DataFault, match="set DPK_DATA_ROOT"):
            dataset_card("torchvision/cifar10", None, "dataset")

    def test_absent_files_may_be_fetched_where_that_is_allowed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DPK_DOWNLOAD", "1")
        assert card(tmp_path, "torchvision/cifar10").classes == 10


def test_the_declared_maximum_of_a_small_edge_is_used_at_its_own_size(tmp_path: Path) -> None:
    write_folder(tmp_path, counts={"train": 5}, size=(headers.SMALL_EDGE, headers.SMALL_EDGE))
    assert card(tmp_path).side == headers.SMALL_EDGE


def test_decoded_bytes() -> None:
    assert replace(datasets.DIGITS, channels=3).decoded_bytes == 1797 * 3 * 8 * 8
