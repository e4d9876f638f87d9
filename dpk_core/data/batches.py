"""Which pictures each step sees: a function of seed and step alone, so a resumed run needs no stored position."""

from __future__ import annotations

import torch
from torch import Tensor

from dpk_core.data.augment import augment
from dpk_core.data.source import ImageData
from dpk_core.errors import InvalidRequest
from dpk_core.randomness import derive
from dpk_core.spec import Augmentation


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


def training_batch(
    data: ImageData, positions_B: Tensor, augmentation: Augmentation, seed: int, step: int
) -> tuple[Tensor, Tensor]:
    """The pictures of a step, augmented and normalised (B x C x H x W, float32), and their labels (B)."""
    generator = torch.Generator().manual_seed(derive(seed, "augment", step))
    positions_B = positions_B.to(data.device)
    pictures_BCHW = augment(augmentation, data.train.pictures[positions_B], generator)
    return data.normalise(pictures_BCHW), data.train.labels[positions_B]
