"""Subsets are the same bytes for everybody, balanced, and ordinary data sets of the product."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import subsets
from benchmarks.subsets import Subset
from dpk_core.catalogue.datasets import dataset_card
from dpk_core.errors import InvalidRequest


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A source of 120 training pictures in six fine and three coarse classes, and a work folder."""
    chance = np.random.Generator(np.random.PCG64(0))
    np.savez(
        tmp_path / "source.npz",
        x_train=chance.integers(0, 256, (120, 8, 8, 3), dtype=np.uint8), y_train=np.arange(120, dtype=np.uint8) % 6,
        x_test=chance.integers(0, 256, (12, 8, 8, 3), dtype=np.uint8), y_test=np.arange(12, dtype=np.uint8) % 6,
        classes=np.array(list("abcdef")), coarse_of_fine=np.array([0, 0, 1, 1, 2, 2]),
        coarse_classes=np.array(["ab", "cd", "ef"]),
    )  # fmt: skip
    monkeypatch.setenv("DPK_DATA_ROOT", str(tmp_path))
    monkeypatch.setattr(subsets, "WORK", tmp_path / "work")
    return tmp_path


HALF = Subset(name="half", source="source", train=60, halved=1, coarse=True)


def test_a_subset_is_balanced_smaller_and_coarser(source: Path) -> None:
    card = dataset_card("npz/half", subsets.make(HALF), "dataset")
    assert (card.side, card.channels, card.classes) == (4, 3, 3)
    assert (card.train_pictures + card.validation_pictures, card.test_pictures) == (60, 12)
    with np.load(subsets.WORK / "data" / "half.npz") as made:
        assert np.bincount(made["y_train"]).tolist() == [20, 20, 20]


def test_pixels_are_means_of_four(source: Path) -> None:
    subsets.make(HALF)
    with np.load(subsets.WORK / "data" / "half.npz") as made, np.load(source / "source.npz") as found:
        corner = found["x_test"][0, :2, :2].astype(float).mean((0, 1))
        assert np.abs(made["x_test"][0, 0, 0] - corner).max() <= 0.5


def test_the_same_bytes_every_time(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = (subsets.make(HALF) / "half.npz").read_bytes()
    monkeypatch.setattr(subsets, "WORK", source / "elsewhere")
    assert (subsets.make(HALF) / "half.npz").read_bytes() == first


def test_kept_classes_are_counted_from_zero(source: Path) -> None:
    subsets.make(Subset(name="some", source="source", train=20, kept=(2, 4)))
    with np.load(subsets.WORK / "data" / "some.npz") as made, np.load(source / "source.npz") as found:
        assert made["classes"].tolist() == ["c", "d"]
        assert np.bincount(made["y_train"]).tolist() == [10, 10]
        assert np.array_equal(made["x_test"][made["y_test"] == 1], found["x_test"][found["y_test"] == 3])


def test_without_a_data_root_the_message_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DPK_DATA_ROOT", raising=False)
    with pytest.raises(InvalidRequest, match="Set DPK_DATA_ROOT"):
        subsets.source_root()
