"""Picture files: what is loaded is what the card promises, in memory or read while training."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from dpk_core.catalogue.datasets import dataset_card
from dpk_core.data import picture_files
from dpk_core.data.batches import AHEAD, TrainingBatches, epoch_order, in_order
from dpk_core.data.boxes import Targets
from dpk_core.data.crops import Draws
from dpk_core.data.source import ImageData, Split, load_dataset
from dpk_core.data.split import Reading
from dpk_core.data.streamed import StreamedSplit
from dpk_core.errors import DataFault
from dpk_core.recipes import recipe
from dpk_core.spec import Augmentation
from tests.unit.catalogue.picture_sets import encoded, pixels, write_folder, write_parquet
from tests.unit.data.single_batch import training_batch

CPU = torch.device("cpu")
RECIPE = replace(recipe("small", epochs=3, batch_size=4), augmentation="resized_crop_flip")
LABELS = [row % 3 for row in range(30)]


def load(root: Path, name: str = "folder/made") -> ImageData:
    return load_dataset(dataset_card(name, root, "dataset"), root, CPU)


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything counts as large."""
    monkeypatch.setattr(picture_files, "IN_MEMORY_BYTES", 0)


def everything(data: ImageData) -> list[tuple[Tensor, Tensor]]:
    """Pictures and labels of the three splits."""
    splits = (data.train, data.validation, data.read_test())
    return [(split.start_reading(torch.arange(len(split)))(), split.labels) for split in splits]


def check_against_card(data: ImageData) -> None:
    card, found = data.card, everything(data)
    assert [len(labels) for _, labels in found] == [
        card.train_pictures, card.validation_pictures, card.test_pictures,
    ]  # fmt: skip
    for pictures, labels in found:
        assert pictures.shape == (len(labels), card.channels, card.side, card.side)
        assert labels.unique().tolist() == list(range(card.classes))


class TestFolder:
    @pytest.mark.parametrize("counts", [{"train": 10}, {"train": 10, "val": 2}, {"train": 10, "val": 3, "test": 2}])
    def test_card_and_loader_agree(self, tmp_path: Path, counts: dict[str, int]) -> None:
        write_folder(tmp_path, counts=counts)
        data = load(tmp_path)
        assert isinstance(data.train, Split)
        check_against_card(data)

    def test_every_picture_is_in_one_split_under_its_class(self, tmp_path: Path) -> None:
        folder = write_folder(tmp_path)
        for label, name in enumerate(("ant", "bee", "cat")):
            for number in range(10):
                picture = np.full((12, 12, 3), 10 * label + number, np.uint8)
                (folder / "train" / name / f"{number:03}.png").write_bytes(encoded(picture))
        found = [
            (int(picture[0, 0, 0]), int(label))
            for pictures, labels in everything(load(tmp_path))
            for picture, label in zip(pictures, labels, strict=True)
        ]
        assert sorted(found) == [(value, value // 10) for value in range(30)]

    def test_imagenet(self, tmp_path: Path) -> None:
        write_folder(tmp_path, counts={"train": 10, "val": 2}, classes=("n00000001", "n00000002"))
        check_against_card(load(tmp_path, "imagenet/made"))

    @pytest.mark.parametrize("split", ["train", "val", "test"])
    def test_a_broken_picture_is_named_before_training(self, tmp_path: Path, split: str) -> None:
        folder = write_folder(tmp_path, counts={"train": 10, "val": 4, "test": 4})
        path = folder / split / "bee" / "003.png"
        whole = path.read_bytes()
        path.write_bytes(whole[:-40])
        with pytest.raises(DataFault, match=rf"made/{split}/bee/003\.png is cut short and cannot be decoded"):
            load(tmp_path)
        path.write_bytes(whole[:-60] + bytes(40) + whole[-20:])
        with pytest.raises(DataFault, match=rf"made/{split}/bee/003\.png cannot be decoded"):
            load(tmp_path)

    def test_test_pictures_are_tried_once_and_not_kept(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write_folder(tmp_path)
        seen: list[int] = []
        decoded = StreamedSplit.decoded
        monkeypatch.setattr(StreamedSplit, "decoded", lambda self: seen.append(len(self)) or decoded(self))
        load(tmp_path)
        load(tmp_path).read_test()
        assert seen == [18, 6, 6, 18, 6, 6]

    def test_files_changed_since_the_card_are_refused(self, tmp_path: Path) -> None:
        folder = write_folder(tmp_path)
        card = dataset_card("folder/made", tmp_path, "dataset")
        (folder / "train" / "bee" / "003.png").write_bytes(encoded(pixels(0)))
        with pytest.raises(DataFault, match="folder/made has the fingerprint"):
            load_dataset(card, tmp_path, CPU)


class TestParquet:
    def test_card_and_loader_agree(self, tmp_path: Path) -> None:
        write_parquet(tmp_path / "made" / "train-0.parquet", LABELS[:11])
        write_parquet(tmp_path / "made" / "train-1.parquet", LABELS[11:])
        write_parquet(tmp_path / "made" / "test.parquet", LABELS[:6])
        check_against_card(load(tmp_path, "parquet/made"))

    def test_rows_keep_their_labels(self, tmp_path: Path) -> None:
        pictures = [encoded(np.full((12, 12, 3), row, np.uint8)) for row in range(30)]
        write_parquet(tmp_path / "made" / "train-0.parquet", LABELS[:11], pictures=pictures[:11])
        write_parquet(tmp_path / "made" / "train-1.parquet", LABELS[11:], pictures=pictures[11:])
        found = [
            (int(picture[0, 0, 0]), int(label))
            for pictures_BCHW, labels in everything(load(tmp_path, "parquet/made"))
            for picture, label in zip(pictures_BCHW, labels, strict=True)
        ]
        assert sorted(found) == [(row, row % 3) for row in range(30)]


@pytest.mark.usefixtures("large")
class TestLargeData:
    @pytest.mark.parametrize("kind", ["folder", "parquet"])
    def test_it_is_read_while_training_and_is_the_same(
        self, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if kind == "folder":
            write_folder(tmp_path, counts={"train": 10, "test": 2})
        else:
            write_parquet(tmp_path / "made" / "train.parquet", LABELS)
        streamed = load(tmp_path, f"{kind}/made")
        assert isinstance(streamed.train, StreamedSplit)
        check_against_card(streamed)
        monkeypatch.setattr(picture_files, "IN_MEMORY_BYTES", 2**31)
        in_memory = load(tmp_path, f"{kind}/made")
        for one, other in zip(everything(streamed), everything(in_memory), strict=True):
            assert torch.equal(one[0], other[0])
            assert torch.equal(one[1], other[1])
        assert torch.equal(streamed.mean, in_memory.mean)
        assert torch.equal(streamed.std, in_memory.std)

    def test_statistics_are_those_of_a_spread_sample(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(picture_files, "SAMPLED_PICTURES", 3)
        write_folder(tmp_path)
        data = load(tmp_path)
        sample = data.train.start_reading(torch.tensor([0, 8, 17]))()
        assert data.train.labels[[0, 8, 17]].tolist() == [0, 1, 2]
        assert data.mean.tolist() == pytest.approx(sample.double().mean((0, 2, 3)).tolist())

    def test_a_broken_header_is_named_before_training(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Also of a picture that the card has not looked at."""
        folder = write_folder(tmp_path)
        monkeypatch.setattr("dpk_core.catalogue.folders.sample", lambda files: files[:1])
        (folder / "train" / "bee" / "003.png").write_bytes(b"no picture")
        with pytest.raises(DataFault, match=r"made/train/bee/003\.png cannot be read as a picture"):
            load(tmp_path)

    def test_a_broken_row_is_named_before_training(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        pictures = [encoded(pixels(row)) for row in range(29)]
        write_parquet(tmp_path / "made" / "train.parquet", LABELS, pictures=[*pictures, b"no picture"])
        monkeypatch.setattr("dpk_core.catalogue.pictures.is_large", lambda _: True)
        monkeypatch.setattr("dpk_core.catalogue.parquet.SURVEYED_ROWS", 5)
        with pytest.raises(DataFault, match=r"made/train\.parquet, row 29 cannot be read as a picture"):
            load(tmp_path, "parquet/made")

    def test_what_only_decoding_shows_is_named_when_it_is_read(self, tmp_path: Path) -> None:
        folder = write_folder(tmp_path)
        data = load(tmp_path)
        for path in (folder / "train").rglob("*.png"):
            path.write_bytes(path.read_bytes()[:-40])
        with pytest.raises(DataFault, match=r"made/train/\w+/\d+\.png cannot be decoded"):
            TrainingBatches(data, RECIPE, 0, 4).at(0)
        for path in (folder / "train").rglob("*.png"):
            path.unlink()
        with pytest.raises(DataFault, match=r"made/train/\w+/\d+\.png cannot be read: No such file"):
            TrainingBatches(data, RECIPE, 0, 4).at(0)

    def test_large_parquet_is_laid_out_once(
        self, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_parquet(tmp_path / "made" / "train.parquet", LABELS)
        before = everything(load(tmp_path, "parquet/made"))
        assert len(list(own_cache.glob("encoded-*"))) == 2
        monkeypatch.setattr("dpk_core.data.encoded._write", lambda *_: pytest.fail("laid out again"))
        after = everything(load(tmp_path, "parquet/made"))
        assert all(torch.equal(one[0], other[0]) for one, other in zip(before, after, strict=True))

    def test_small_pictures_of_long_files_are_laid_out_too(
        self, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_parquet(tmp_path / "made" / "train.parquet", LABELS)
        monkeypatch.setattr(picture_files, "IN_MEMORY_BYTES", 2**30)
        before = everything(load(tmp_path, "parquet/made"))
        assert not list(own_cache.glob("encoded-*"))
        monkeypatch.setattr(picture_files, "ENCODED_BYTES", 0)
        after = everything(load(tmp_path, "parquet/made"))
        assert len(list(own_cache.glob("encoded-*"))) == 2
        assert all(torch.equal(one[0], other[0]) for one, other in zip(before, after, strict=True))

    def test_a_copy_that_nobody_uses_goes_and_who_reads_it_reads_on(self, tmp_path: Path, own_cache: Path) -> None:
        path = tmp_path / "made" / "train.parquet"
        write_parquet(path, LABELS)
        first = load(tmp_path, "parquet/made")
        one = first.train.start_reading(torch.tensor([0, 1]))()
        os.utime(path, ns=(1, 1))
        load(tmp_path, "parquet/made")
        assert len(list(own_cache.glob("encoded-*"))) == 4, "the copy of other content may be in use"
        for copy in own_cache.glob("encoded-*"):
            os.utime(copy, (1, 1))
        os.utime(path, ns=(2, 2))
        second = load(tmp_path, "parquet/made")
        assert len(list(own_cache.glob("encoded-*"))) == 2
        for data in (first, second):
            assert torch.equal(data.train.start_reading(torch.tensor([0, 1]))(), one)

    def test_half_a_copy_is_made_anew(self, tmp_path: Path, own_cache: Path) -> None:
        """Whoever cleans the cache takes its large files."""
        write_parquet(tmp_path / "made" / "train.parquet", LABELS)
        before = everything(load(tmp_path, "parquet/made"))
        next(path for path in own_cache.glob("encoded-*") if path.suffix != ".npy").unlink()
        after = everything(load(tmp_path, "parquet/made"))
        assert all(torch.equal(one[0], other[0]) for one, other in zip(before, after, strict=True))

    def test_no_room_to_lay_it_out_is_said(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write_parquet(tmp_path / "made" / "train.parquet", LABELS)
        (tmp_path / "file").touch()
        monkeypatch.setenv("DPK_DATA_CACHE", str(tmp_path / "file" / "cannot be"))
        with pytest.raises(DataFault, match="name another folder in DPK_DATA_CACHE"):
            load(tmp_path, "parquet/made")


@pytest.mark.parametrize("bytes_in_memory", [0, 2**31])
class TestTrainingBatches:
    """The same properties in memory and read while training."""

    @pytest.fixture
    def data(self, tmp_path: Path, bytes_in_memory: int, monkeypatch: pytest.MonkeyPatch) -> ImageData:
        monkeypatch.setattr(picture_files, "IN_MEMORY_BYTES", bytes_in_memory)
        write_folder(tmp_path, size=(30, 40))
        return load(tmp_path)

    @pytest.mark.parametrize("kind", ["none", "shift", "crop_flip", "resized_crop_flip"])
    def test_a_batch_is_a_function_of_seed_and_step(self, data: ImageData, kind: Augmentation) -> None:
        """From whichever step one begins, over ends of epochs, and whatever was read ahead."""
        wanted = replace(RECIPE, augmentation=kind)
        whole = TrainingBatches(data, wanted, 7, 9)
        batches = [whole.at(step) for step in range(9)]
        for first in (1, 4, 8):
            resumed = TrainingBatches(data, wanted, 7, 9)
            for step in range(first, 9):
                assert torch.equal(resumed.at(step)[0], batches[step][0])
                assert torch.equal(resumed.positions(step), epoch_order(7, step // 4, 18, 4)[step % 4])
        alone = training_batch(data, epoch_order(7, 1, 18, 4)[2], wanted, 7, 6)
        assert torch.equal(alone[0], batches[6][0])
        assert torch.equal(alone[1], batches[6][1])

    def test_each_picture_of_a_batch_gets_a_crop_of_its_own(self, data: ImageData) -> None:
        positions = torch.zeros(16, dtype=torch.int64)
        pictures, labels = training_batch(data, positions, RECIPE, 0, 0)
        assert pictures.shape == (16, 3, 40, 40)
        assert labels.tolist() == [0] * 16
        assert len({tuple(picture.flatten().tolist()) for picture in pictures}) == 16

    def test_in_order_gives_everything_once(self, data: ImageData) -> None:
        parts = list(in_order(data.train, 5))
        assert [len(labels) for _, labels in parts] == [5, 5, 5, 3]
        assert torch.equal(torch.cat([pictures for pictures, _ in parts]), everything(data)[0][0])
        assert torch.equal(torch.cat([labels for _, labels in parts]), data.train.labels)

    def test_only_what_the_run_needs_is_read_ahead(self, data: ImageData) -> None:
        asked: list[list[int]] = []

        class Watched:
            labels = data.train.labels

            def __len__(self) -> int:
                return len(data.train)

            def targets(self, positions_B: Tensor) -> Targets:
                return data.train.targets(positions_B)

            def start_reading(self, positions_B: Tensor, crops_BA4: Draws | None = None) -> Reading:
                asked.append(positions_B.tolist())
                return data.train.start_reading(positions_B, crops_BA4)

        batches = TrainingBatches(replace(data, train=Watched()), RECIPE, 0, 5)
        batches.at(0)
        assert len(asked) == 1 + AHEAD
        for step in range(1, 5):
            batches.at(step)
        assert asked == [batches.positions(step).tolist() for step in range(5)]
