"""Which pictures a step sees follows from seed and step."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from dpk_core.catalogue.datasets import DIGITS
from dpk_core.data.batches import epoch_order, steps_per_epoch
from dpk_core.data.source import load_dataset
from dpk_core.errors import InvalidRequest
from dpk_core.recipes import DIGITS as DIGITS_RECIPE
from tests.unit.data.single_batch import training_batch


def test_the_incomplete_last_batch_is_dropped() -> None:
    assert steps_per_epoch(898, 64) == 14
    assert epoch_order(0, 0, 898, 64).shape == (14, 64)


def test_too_large_a_batch_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="A batch of 20 needs more than the 10") as caught:
        steps_per_epoch(10, 20)
    assert caught.value.nearest == "10"


def test_no_picture_twice_in_an_epoch() -> None:
    assert len(epoch_order(3, 1, 898, 64).unique()) == 14 * 64


def test_order_follows_seed_and_epoch() -> None:
    order = epoch_order(0, 0, 100, 10)
    torch.manual_seed(5)
    assert torch.equal(order, epoch_order(0, 0, 100, 10))
    assert not torch.equal(order, epoch_order(0, 1, 100, 10))
    assert not torch.equal(order, epoch_order(1, 0, 100, 10))


def test_a_batch_holds_the_pictures_of_its_positions() -> None:
    data = load_dataset(DIGITS, None, torch.device("cpu"))
    positions = torch.tensor([5, 1, 7])
    pictures, labels = training_batch(data, positions, replace(DIGITS_RECIPE, augmentation="none"), seed=0, step=0)
    assert torch.equal(labels, data.train.labels[positions])
    assert torch.equal(pictures, data.normalise(data.train.pictures[positions]))


def test_augmentation_differs_by_step_and_seed() -> None:
    data = load_dataset(DIGITS, None, torch.device("cpu"))
    drawn = {
        (seed, step): training_batch(data, torch.arange(32), DIGITS_RECIPE, seed, step)[0]
        for seed in (0, 1)
        for step in (0, 1)
    }
    assert torch.equal(drawn[0, 0], training_batch(data, torch.arange(32), DIGITS_RECIPE, 0, 0)[0])
    assert not torch.equal(drawn[0, 0], drawn[0, 1])
    assert not torch.equal(drawn[0, 0], drawn[1, 0])
