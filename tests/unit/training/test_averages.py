"""Means over an epoch, and the look for numbers that are none."""

from __future__ import annotations

import pytest
import torch

from dpk_core.errors import TrainingDiverged
from dpk_core.training.averages import Averages


def test_means_over_steps() -> None:
    averages = Averages()
    averages.add({"loss": torch.tensor(1.0), "share": torch.tensor(0.5)})
    averages.add({"loss": torch.tensor(2.0), "share": torch.tensor(0.25)})
    assert averages.means() == {"loss": 1.5, "share": 0.375}


def test_a_value_that_is_not_there_in_every_step_is_averaged_over_those_that_had_it() -> None:
    averages = Averages()
    averages.add({"loss": torch.tensor(1.0), "gradient.class": torch.tensor(4.0)})
    averages.add({"loss": torch.tensor(2.0)})
    assert averages.means() == {"loss": 1.5, "gradient.class": 4.0}


def test_reset() -> None:
    averages = Averages()
    averages.add({"loss": torch.tensor(1.0)})
    averages.reset()
    assert (averages.steps, averages.means()) == ({}, {})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_one_value_that_is_no_number_is_found_later(value: float) -> None:
    averages = Averages()
    for loss in (1.0, value, 1.0):
        averages.add({"train_loss": torch.tensor(loss)})
    with pytest.raises(TrainingDiverged, match="train_loss was no finite number by step 3"):
        averages.check(3)
