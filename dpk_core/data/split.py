"""What the loop sees of a data set: splits that read pictures by position, in memory or from files.

Shapes: B pictures, C channels, H x W.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dpk_core.catalogue.datasets import DatasetCard
from dpk_core.data.boxes import Targets
from dpk_core.data.crops import Draws, crop_boxes, resized_crops
from dpk_core.data.to_device import to_device
from dpk_core.errors import DataFault

Pictures = NDArray[np.uint8]
Labels = NDArray[np.int64]

Reading = Callable[[], Tensor]
"""Waits for pictures that are being read: B x C x H x W, uint8, on the split's device."""


class PictureSplit(Protocol):
    """Pictures of one split. `labels` (B, int64) are on the device; there are none where pictures have boxes."""

    @property
    def labels(self) -> Tensor:
        """The label of every picture."""

    def targets(self, positions_B: Tensor) -> Targets:
        """What there is to learn of the pictures at `positions_B` (on the CPU), on the device."""

    def __len__(self) -> int:
        """How many pictures there are."""

    def start_reading(self, positions_B: Tensor, crops_BA4: Draws | None = None) -> Reading:
        """Begins to read the pictures at `positions_B` (on the CPU): at rest, or the random crops that were drawn.

        The reading raises DataFault naming a picture that cannot be decoded.
        """


@dataclass(frozen=True, slots=True)
class Split:
    """Decoded pictures of one split (B x C x H x W, uint8) with their labels (B, int64), both on the device."""

    pictures: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def targets(self, positions_B: Tensor) -> Tensor:
        """The labels of these pictures."""
        return self.labels[to_device(positions_B, self.labels.device)]

    def start_reading(self, positions_B: Tensor, crops_BA4: Draws | None = None) -> Reading:
        """See `PictureSplit`. Random crops are cut from the pictures at their working size."""

        def read() -> Tensor:
            pictures_BCHW = self.pictures[to_device(positions_B, self.pictures.device)]
            if crops_BA4 is None:
                return pictures_BCHW
            return resized_crops(pictures_BCHW, crop_boxes(crops_BA4, *pictures_BCHW.shape[-2:]))

        return read


@dataclass(frozen=True, slots=True)
class ImageData:
    """A data set on a device. `mean`, `std`: channel statistics (C) of the train split, in the pictures' own unit;
    `std` is 1 where a channel is constant.

    `read_test` reads the test split when it is called and not before: only the end of a full run does.
    """

    card: DatasetCard
    train: PictureSplit
    validation: PictureSplit
    read_test: Callable[[], PictureSplit]
    mean: Tensor
    std: Tensor

    @property
    def device(self) -> torch.device:
        """Where the pictures are."""
        return self.train.labels.device

    def normalise(self, pictures_BCHW: Tensor) -> Tensor:
        """Pictures as float32 with mean 0 and standard deviation 1 per channel over the train split."""
        return (pictures_BCHW.float() - self.mean[:, None, None]) / self.std[:, None, None]


def split_of_arrays(pictures: Pictures, labels: Labels, device: torch.device) -> Split:
    """A split in memory from B x H x W (grey) or B x H x W x C arrays."""
    tensor = torch.from_numpy(pictures)
    pictures_BCHW = tensor[:, None] if tensor.ndim == 3 else tensor.permute(0, 3, 1, 2).contiguous()
    return Split(pictures_BCHW.to(device), torch.from_numpy(labels).to(device))


_LEAST_DEVIATION = 0.5
"""Of a channel's levels; less is a few stray pixels or nothing."""


def image_data(
    card: DatasetCard,
    *,
    train: PictureSplit,
    validation: PictureSplit,
    read_test: Callable[[], PictureSplit],
    sample_BCHW: Tensor,
) -> ImageData:
    """Puts a data set together; `sample_BCHW` are the training pictures that its statistics are taken from."""
    # Moments from a histogram: exact, and without a float copy of the whole split.
    levels = torch.arange(256, dtype=torch.float64)
    counts = [torch.bincount(channel.flatten().cpu(), minlength=256) for channel in sample_BCHW.unbind(1)]
    weights = torch.stack(counts).double() / counts[0].sum()
    mean_C = weights @ levels
    std_C = (weights @ levels**2 - mean_C**2).clamp_min(1e-12).sqrt()
    # A channel that hardly varies carries nothing, but what augmentation adds to it, such as black borders, may lie the
    # whole range of levels away, and divided by next to 0 would explode.
    std_C = torch.where(std_C < _LEAST_DEVIATION, levels[-1], std_C)
    device = train.labels.device
    return ImageData(card, train, validation, read_test, mean_C.float().to(device), std_C.float().to(device))


def check_fingerprint(card: DatasetCard, found: str) -> None:
    """Raises DataFault when what was found on this machine is not what the card is about."""
    if found != card.fingerprint:
        raise DataFault(f"The data set {card.name} has the fingerprint {found}, but {card.fingerprint} was expected.")
