"""Which pictures each step sees: a function of seed and step alone, so a resumed run needs no stored position."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from dpk_core.data.augment import CROPPING, augment
from dpk_core.data.box_augment import augment_boxes
from dpk_core.data.boxes import BoxTargets, Targets
from dpk_core.data.crops import draw_crops
from dpk_core.data.erasing import erase
from dpk_core.data.rows import BatchRows, own_rows
from dpk_core.data.split import ImageData, PictureSplit, Reading
from dpk_core.data.to_device import to_device
from dpk_core.errors import InvalidRequest
from dpk_core.parallel.world import ALONE, World
from dpk_core.randomness import derive
from dpk_core.spec import Recipe

AHEAD = 2
"""Batches that are being read while one is used."""


def steps_per_epoch(pictures: int, batch_size: int) -> int:
    """Whole batches of an epoch; the incomplete last one is dropped. Raises InvalidRequest when there is none."""
    if batch_size > pictures:
        raise InvalidRequest(
            "budget.batch_size",
            f"A batch of {batch_size} needs more than the {pictures} training pictures.",
            str(pictures),
        )
    return pictures // batch_size


def epoch_order(seed: int, epoch: int, pictures: int, batch_size: int) -> Tensor:
    """Positions of the pictures of the epoch (0-based): steps x batch_size, no picture twice."""
    generator = torch.Generator().manual_seed(derive(seed, "order", epoch))
    order = torch.randperm(pictures, generator=generator)
    return order[: steps_per_epoch(pictures, batch_size) * batch_size].view(-1, batch_size)


class TrainingBatches:
    """The batches of a training by step. Those to come are read ahead, which changes when, never what, is read.

    In a world of several ranks, the rows of this one, see `own_rows`, which may raise InvalidRequest.
    """

    def __init__(self, data: ImageData, recipe: Recipe, seed: int, stop_step: int, world: World = ALONE) -> None:
        self._data, self._recipe, self._seed, self._stop_step = data, recipe, seed, stop_step
        self._rows = own_rows(recipe, world)
        self._steps = steps_per_epoch(len(data.train), recipe.batch_size)
        self._orders: dict[int, Tensor] = {}
        self._readings: dict[int, Reading] = {}

    def at(self, step: int) -> tuple[Tensor, Targets]:
        """The pictures of a step, augmented and normalised (B x C x H x W, float32), and their labels (B) or boxes.

        Raises DataFault naming a picture that cannot be read.
        """
        recipe, seed, rows = self._recipe, self._seed, self._rows
        for coming in range(step, min(step + 1 + AHEAD, self._stop_step)):
            if coming not in self._readings:
                positions_B = self.positions(coming)
                self._readings[coming] = _reading(self._data, positions_B, recipe, seed, coming, rows)
        reading = self._readings.pop(step)
        return _finished(self._data, reading, self.positions(step), recipe, seed, step, rows)

    def positions(self, step: int) -> Tensor:
        """Places of a step's pictures in the training split, B."""
        epoch, place = divmod(step, self._steps)
        if epoch not in self._orders:
            # Reading ahead looks into the next epoch; older ones are done with.
            self._orders = {past: order for past, order in self._orders.items() if past == epoch - 1}
            self._orders[epoch] = epoch_order(self._seed, epoch, len(self._data.train), self._recipe.batch_size)
        return self._orders[epoch][place][self._rows.places_B]


def in_order(split: PictureSplit, batch_size: int, world: World = ALONE) -> Iterator[tuple[Tensor, Tensor]]:
    """All pictures (B x C x H x W, uint8) with their labels (B), the incomplete last batch too; one is read ahead.

    Rank r of a world reads batches r, r + size, …
    """
    for positions_B, pictures_BCHW in pictures_in_order(split, batch_size, world):
        yield pictures_BCHW, split.labels[to_device(positions_B, split.labels.device)]


def pictures_in_order(split: PictureSplit, batch_size: int, world: World = ALONE) -> Iterator[tuple[Tensor, Tensor]]:
    """As `in_order`, with the pictures' positions (B, on the CPU) in front of them."""
    batches = torch.split(torch.arange(len(split)), batch_size)[world.rank :: world.size]
    if not batches:
        return
    coming = split.start_reading(batches[0])
    for positions_B, after_B in zip(batches, (*batches[1:], None), strict=True):
        reading = coming
        if after_B is not None:
            coming = split.start_reading(after_B)
        yield positions_B, reading()


def _reading(data: ImageData, positions_B: Tensor, recipe: Recipe, seed: int, step: int, rows: BatchRows) -> Reading:
    crops = None
    if recipe.augmentation in CROPPING:
        crops = draw_crops(seed, step, rows.total)[rows.places_B.numpy()]
    return data.train.start_reading(positions_B, crops)


def _finished(
    data: ImageData, reading: Reading, positions_B: Tensor, recipe: Recipe, seed: int, step: int, rows: BatchRows
) -> tuple[Tensor, Targets]:
    generator = torch.Generator().manual_seed(derive(seed, "augment", step))
    pictures_BCHW, targets = reading(), data.train.targets(positions_B)
    if isinstance(targets, BoxTargets):
        assert recipe.detection is not None
        settings = recipe.detection.augmentation
        pictures_BCHW, targets = augment_boxes(settings, pictures_BCHW, targets, generator, rows)
    pictures_BCHW = augment(recipe.augmentation, pictures_BCHW, generator, rows)
    if recipe.randaugment is not None:
        from dpk_core.data.randaugment import randaugment  # here, as torchvision takes longer to import than torch

        pictures_BCHW = randaugment(pictures_BCHW, recipe.randaugment, seed, step, rows)
    pictures_BCHW = data.normalise(pictures_BCHW)
    if recipe.erasing:
        pictures_BCHW = erase(pictures_BCHW, recipe.erasing, seed, step, rows)
    return pictures_BCHW, targets
