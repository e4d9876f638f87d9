"""Augmentation of whole batches on their device, drawn from a generator that the caller derives from seed and step.

Borders are filled with 0, black in the pictures' own unit, so augment before normalising. Shapes: B pictures, C
channels, H x W.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from dpk_core.spec import Augmentation


def augment(kind: Augmentation, pictures_BCHW: Tensor, generator: torch.Generator) -> Tensor:
    """A batch of the same shape and type. `generator` lives on the CPU, so every device sees the same draws."""
    return _KINDS[kind](pictures_BCHW, generator)


def _none(pictures_BCHW: Tensor, generator: torch.Generator) -> Tensor:  # noqa: ARG001  (one signature for all kinds)
    return pictures_BCHW


def _shift(pictures_BCHW: Tensor, generator: torch.Generator) -> Tensor:
    """Moves each picture by up to a sixteenth of its side: one pixel at 8, two at 32."""
    return _random_crop(pictures_BCHW, max(1, pictures_BCHW.shape[-1] // 16), generator)


def _crop_flip(pictures_BCHW: Tensor, generator: torch.Generator) -> Tensor:
    """Crops out of a border of an eighth of the side (4 at 32) and mirrors half of the pictures, as usual on CIFAR."""
    return _flip(_random_crop(pictures_BCHW, max(1, pictures_BCHW.shape[-1] // 8), generator), generator)


def _flip(pictures_BCHW: Tensor, generator: torch.Generator) -> Tensor:
    """Mirrors half of the pictures."""
    flipped_B = (torch.rand(len(pictures_BCHW), generator=generator) < 0.5).to(pictures_BCHW.device)
    return torch.where(flipped_B[:, None, None, None], pictures_BCHW.flip(-1), pictures_BCHW)


def _random_crop(pictures_BCHW: Tensor, border: int, generator: torch.Generator) -> Tensor:
    count, _, height, width = pictures_BCHW.shape
    offsets_2B = torch.randint(0, 2 * border + 1, (2, count), generator=generator).to(pictures_BCHW.device)
    rows_BH = offsets_2B[0, :, None] + torch.arange(height, device=pictures_BCHW.device)
    columns_BW = offsets_2B[1, :, None] + torch.arange(width, device=pictures_BCHW.device)
    padded_BHWC = F.pad(pictures_BCHW, (border,) * 4).permute(0, 2, 3, 1)
    which_B = torch.arange(count, device=pictures_BCHW.device)
    cropped_BHWC = padded_BHWC[which_B[:, None, None], rows_BH[:, :, None], columns_BW[:, None, :]]
    return cropped_BHWC.permute(0, 3, 1, 2).contiguous()


_KINDS: dict[Augmentation, Callable[[Tensor, torch.Generator], Tensor]] = {
    "none": _none,
    "shift": _shift,
    "crop_flip": _crop_flip,
    "resized_crop_flip": _flip,
}

CROPPING: frozenset[Augmentation] = frozenset({"resized_crop_flip"})
"""Kinds whose pictures come as random resized crops already: cut when they are read, see `crops`."""
