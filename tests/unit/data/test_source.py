"""What is loaded is what the card promises."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from dpk_core.catalogue.datasets import DIGITS, DatasetCard, dataset_card
from dpk_core.data import source
from dpk_core.data.source import ImageData, load_dataset
from dpk_core.errors import DataFault
from tests.real_data import real_data
from tests.unit.catalogue.npz_files import write_npz

CPU = torch.device("cpu")


def check_against_card(data: ImageData, card: DatasetCard) -> None:
    test = data.read_test()
    assert (len(data.train), len(data.validation), len(test)) == (
        card.train_pictures, card.validation_pictures, card.test_pictures,
    )  # fmt: skip
    for split in (data.train, data.validation, test):
        assert split.pictures.shape == (len(split), card.channels, card.side, card.side)
        assert split.labels.unique().tolist() == list(range(card.classes))


class TestDigits:
    def test_card_and_loader_agree(self) -> None:
        check_against_card(load_dataset(DIGITS, None, CPU), DIGITS)

    def test_the_splits_are_the_real_digits_dealt_out_once(self) -> None:
        data = load_dataset(DIGITS, None, CPU)
        splits = (data.train, data.validation, data.read_test())
        ours = torch.cat([split.pictures[:, 0].flatten(1) for split in splits])
        real = torch.from_numpy(load_digits().data.astype(np.uint8))
        assert sorted(map(tuple, ours.tolist())) == sorted(map(tuple, real.tolist()))
        assert int(ours.max()) == 16

    def test_the_splits_are_stratified(self) -> None:
        data = load_dataset(DIGITS, None, CPU)
        for split, share in ((data.train, 0.5), (data.validation, 0.3), (data.read_test(), 0.2)):
            counts = torch.bincount(split.labels) / len(split)
            overall = torch.from_numpy(np.bincount(load_digits().target)) / 1797
            assert torch.allclose(counts, overall, atol=1.5 / (share * 1797))

    def test_train_is_normalised(self) -> None:
        data = load_dataset(DIGITS, None, CPU)
        pictures_BCHW = data.normalise(data.train.pictures)
        assert pictures_BCHW.dtype == torch.float32
        assert pictures_BCHW.mean().item() == pytest.approx(0, abs=1e-5)
        assert pictures_BCHW.std(correction=0).item() == pytest.approx(1, abs=1e-5)

    def test_another_scikit_learn_is_refused(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        bunch = load_digits()
        bunch.data[0, 0] += 1
        np.savetxt(tmp_path / "digits.csv", np.column_stack([bunch.data, bunch.target]), delimiter=",", fmt="%d")
        monkeypatch.setattr(source, "_digits_file", lambda: tmp_path / "digits.csv")
        with pytest.raises(DataFault, match="digits has the fingerprint"):
            load_dataset(DIGITS, None, CPU)

    def test_without_scikit_learn_it_says_what_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(source, "_digits_file", lambda: Path("no", "such.csv"))
        with pytest.raises(DataFault, match="install scikit-learn"):
            load_dataset(DIGITS, None, CPU)


class TestNpz:
    def test_card_and_loader_agree(self, tmp_path: Path) -> None:
        write_npz(tmp_path)
        card = dataset_card("npz/made", tmp_path, "dataset")
        check_against_card(load_dataset(card, tmp_path, CPU), card)

    def test_validation_comes_from_train_and_test_from_test(self, tmp_path: Path) -> None:
        train = np.arange(60, dtype=np.uint8)[:, None, None] * np.ones((1, 8, 8), np.uint8)
        write_npz(tmp_path, x_train=train, x_test=np.full((12, 8, 8), 200, np.uint8))
        data = load_dataset(dataset_card("npz/made", tmp_path, "dataset"), tmp_path, CPU)
        seen = [split.pictures[:, 0, 0, 0].tolist() for split in (data.train, data.validation)]
        assert sorted(seen[0] + seen[1]) == list(range(60))
        assert data.read_test().pictures.unique().tolist() == [200]

    def test_colour_statistics_are_per_channel(self, tmp_path: Path) -> None:
        train = np.zeros((60, 8, 8, 3), np.uint8)
        train[..., 1], train[:, :, ::2, 2] = 7, 10
        write_npz(tmp_path, x_train=train, x_test=train[:12])
        data = load_dataset(dataset_card("npz/made", tmp_path, "dataset"), tmp_path, CPU)
        assert data.mean.tolist() == [0, 7, 5]
        assert data.std.tolist() == [255, 255, 5]

    @pytest.mark.parametrize("stray", [255, 254])
    def test_a_constant_channel_stays_small_where_augmentation_pads_with_black(
        self, tmp_path: Path, stray: int
    ) -> None:
        """Red on white: the red channel is 255 everywhere, but for a pixel perhaps."""
        train = np.full((60, 8, 8, 3), 255, np.uint8)
        train[:, 2:5, 2:5, 1:] = 0
        train[0, 0, 0, 0] = stray
        write_npz(tmp_path, x_train=train, x_test=train[:12])
        data = load_dataset(dataset_card("npz/made", tmp_path, "dataset"), tmp_path, CPU)
        assert data.normalise(torch.zeros(1, 3, 8, 8)).abs().max() < 5

    def test_a_file_changed_since_the_card_is_refused(self, tmp_path: Path) -> None:
        write_npz(tmp_path)
        card = dataset_card("npz/made", tmp_path, "dataset")
        write_npz(tmp_path, y_train=np.arange(60)[::-1] % 3)
        with pytest.raises(DataFault, match="npz/made has the fingerprint"):
            load_dataset(card, tmp_path, CPU)

    def test_a_file_gone_since_the_card_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(DataFault, match=r"made\.npz cannot be read"):
            load_dataset(replace(DIGITS, name="npz/made"), tmp_path, CPU)


@pytest.mark.parametrize(
    ("name", "classes", "channels", "side"), [("fashion_mnist", 10, 1, 28), ("cifar100_20k", 100, 3, 32)]
)
def test_real_data(name: str, classes: int, channels: int, side: int) -> None:
    root = real_data(f"{name}.npz").parent
    card = dataset_card(f"npz/{name}", root, "dataset")
    assert (card.classes, card.channels, card.side) == (classes, channels, side)
    check_against_card(load_dataset(card, root, CPU), card)
