"""What a step copies to a device is never waited for. Seen on torch's meta device, which holds no numbers; on a GPU the
waits themselves are counted (tests/gpu)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from dpk_core.catalogue.datasets import DIGITS
from dpk_core.data.batches import TrainingBatches, in_order
from dpk_core.data.split import ImageData, Split
from dpk_core.data.to_device import to_device
from dpk_core.distill.masking import draw_noise
from dpk_core.recipes import IMAGENET
from dpk_core.spec import Augmentation, Recipe
from dpk_core.training.weight_average import WeightAverage

META = torch.device("meta")


class Copies(TorchFunctionMode):
    """Lists the copies between CPU and meta device that the host would wait for, and counts the others."""

    def __init__(self) -> None:
        super().__init__()
        self.waited: list[str] = []
        self.unwaited = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        found = func(*args, **kwargs)
        name = getattr(func, "__name__", str(func))
        if name in ("tensor", "as_tensor") and found.device == META:
            self.waited.append(f"torch.{name}")  # lists of numbers lie in ordinary memory
        elif isinstance(found, Tensor) and args and isinstance(args[0], Tensor) and args[0].device != found.device:
            if kwargs.get("non_blocking"):
                self.unwaited += 1
            else:
                self.waited.append(name)
        return found


def data(recipe_side: int) -> ImageData:
    """Pictures without numbers."""
    pictures = torch.empty((64, 3, recipe_side, recipe_side), dtype=torch.uint8, device=META)
    split = Split(pictures, torch.empty(64, dtype=torch.int64, device=META))
    card = replace(DIGITS, channels=3, side=recipe_side)
    return ImageData(card, split, split, lambda: split, torch.empty(3, device=META), torch.empty(3, device=META))


def recipe(augmentation: Augmentation, randaugment: int | None = None, erasing: float = 0.0) -> Recipe:
    return replace(
        IMAGENET, batch_size=32, accumulation=1, augmentation=augmentation, randaugment=randaugment, erasing=erasing
    )


@pytest.mark.parametrize(
    "recipe",
    [recipe("none"), recipe("shift"), recipe("crop_flip"), recipe("resized_crop_flip", 9, 0.5)],
    ids=["none", "shift", "crop_flip", "imagenet"],
)
def test_a_training_batch_is_not_waited_for(recipe: Recipe) -> None:
    batches = TrainingBatches(data(16), recipe, 0, 4)
    with Copies() as copies:
        for step in range(4):
            pictures_BCHW, labels_B = batches.at(step)
    assert (pictures_BCHW.device, labels_B.device) == (META, META)
    assert copies.waited == []
    assert copies.unwaited >= 2 * 4, "positions of pictures and labels, at least"


def test_nor_are_batches_in_order_and_noise() -> None:
    with Copies() as copies:
        assert len(list(in_order(data(8).validation, 20))) == 4
        assert draw_noise(4, 9, seed=0, step=1, stage="last", device=META).device == META
    assert copies.waited == []
    assert copies.unwaited == 2 * 4 + 1


def test_nor_is_a_running_average_of_weights() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).to(META)
    average = WeightAverage(network, 0.9)
    with Copies() as copies:
        average.update(network)
        average.update(network)
    assert copies.waited == []


def test_a_wait_would_be_seen() -> None:
    with Copies() as copies:
        torch.zeros(3).to(META)
        torch.tensor([1.0], device=META)
    assert copies.waited == ["to", "torch.tensor"]


def test_on_the_cpu_nothing_is_copied() -> None:
    values = torch.arange(3)
    assert to_device(values, torch.device("cpu")) is values
