"""Augmentation of whole batches on their device, drawn from a generator that the caller derives from seed and step.

Borders are filled with 0, black in the pictures' own unit, so augment before normalising. Shapes: B pictures, C
channels, H x W.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from dpk_core.data.rows import BatchRows, whole_batch
from dpk_core.data.to_device import to_device
from dpk_core.spec import Augmentation


def augment(
    kind: Augmentation, pictures_BCHW: Tensor, generator: torch.Generator, rows: BatchRows | None = None
) -> Tensor:
    """A batch of the same shape and type. `generator` lives on the CPU, so every device sees the same draws.

    `rows`: which of a batch's pictures these are; None: all of it.
    """
    return _KINDS[kind](pictures_BCHW, generator, rows or whole_batch(len(pictures_BCHW)))


def _none(pictures_BCHW: Tensor, _: torch.Generator, __: BatchRows) -> Tensor:
    return pictures_BCHW


def _shift(pictures_BCHW: Tensor, generator: torch.Generator, rows: BatchRows) -> Tensor:
    """Moves each picture by up to a sixteenth of its side: one pixel at 8, two at 32."""
    return _random_crop(pictures_BCHW, max(1, pictures_BCHW.shape[-1] // 16), generator, rows)


def _crop_flip(pictures_BCHW: Tensor, generator: torch.Generator, rows: BatchRows) -> Tensor:
    """Crops out of a border of an eighth of the side (4 at 32) and mirrors half of the pictures, as usual on CIFAR."""
    cropped_BCHW = _random_crop(pictures_BCHW, max(1, pictures_BCHW.shape[-1] // 8), generator, rows)
    return _flip(cropped_BCHW, generator, rows)


def _flip(pictures_BCHW: Tensor, generator: torch.Generator, rows: BatchRows) -> Tensor:
    """Mirrors half of the pictures."""
    drawn_B = torch.rand(rows.total, generator=generator)[rows.places_B]
    flipped_B = to_device(drawn_B < 0.5, pictures_BCHW.device)
    return torch.where(flipped_B[:, None, None, None], pictures_BCHW.flip(-1), pictures_BCHW)


def _random_crop(pictures_BCHW: Tensor, border: int, generator: torch.Generator, rows: BatchRows) -> Tensor:
    count, _, height, width = pictures_BCHW.shape
    drawn_2B = torch.randint(0, 2 * border + 1, (2, rows.total), generator=generator)[:, rows.places_B]
    offsets_2B = to_device(drawn_2B, pictures_BCHW.device)
    rows_BH = offsets_2B[0, :, None] + torch.arange(height, device=pictures_BCHW.device)
    columns_BW = offsets_2B[1, :, None] + torch.arange(width, device=pictures_BCHW.device)
    padded_BHWC = F.pad(pictures_BCHW, (border,) * 4).permute(0, 2, 3, 1)
    which_B = torch.arange(count, device=pictures_BCHW.device)
    cropped_BHWC = padded_BHWC[which_B[:, None, None], rows_BH[:, :, None], columns_BW[:, None, :]]
    return cropped_BHWC.permute(0, 3, 1, 2).contiguous()


_KINDS: dict[Augmentation, Callable[[Tensor, torch.Generator, BatchRows], Tensor]] = {
    "none": _none,
    "shift": _shift,
    "crop_flip": _crop_flip,
    "resized_crop_flip": _flip,
}

CROPPING: frozenset[Augmentation] = frozenset({"resized_crop_flip"})
"""Kinds whose pictures come as random resized crops already: cut when they are read, see `crops`."""
