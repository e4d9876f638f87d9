"""Augmentation of pictures on their canvas with their boxes, drawn from a generator derived from seed and step.

Shapes: B pictures, C channels, H x W the canvas. Pictures are 8-bit.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dpk_core.data.boxes import BoxTargets, cropped, mirrored
from dpk_core.data.crops import resized_crops
from dpk_core.data.rows import BatchRows, whole_batch
from dpk_core.data.to_device import to_device
from dpk_core.detection_settings import BoxAugmentation, Canvas

GREY_3 = (0.299, 0.587, 0.114)
"""Share of red, green and blue in what an eye sees as brightness (ITU-R BT.601)."""


def augment_boxes(
    settings: BoxAugmentation, pictures_BCHW: Tensor, targets: BoxTargets, generator: torch.Generator,
    rows: BatchRows | None = None,
) -> tuple[Tensor, BoxTargets]:  # fmt: skip
    """A batch of the same shape and type, and its boxes. `generator` lives on the CPU; `rows`: which of a batch's
    pictures these are; None: all of it."""
    rows = rows or whole_batch(len(pictures_BCHW))
    drawn_8B = torch.rand((8, rows.total), generator=generator, dtype=torch.float64)[:, rows.places_B]
    pictures_BCHW = _coloured(pictures_BCHW, 1 + settings.colour * (2 * drawn_8B[:3] - 1))
    pictures_BCHW, targets = _zoomed(pictures_BCHW, targets, drawn_8B[3:6], settings.zoom)
    height, width = pictures_BCHW.shape[-2:]
    device = pictures_BCHW.device
    flipped_B = to_device(drawn_8B[6] < settings.flip, device)
    pictures_BCHW = torch.where(flipped_B[:, None, None, None], pictures_BCHW.flip(-1), pictures_BCHW)
    targets = mirrored(targets, flipped_B, width)
    flipped_B = to_device(drawn_8B[7] < settings.upright_flip, device)
    pictures_BCHW = torch.where(flipped_B[:, None, None, None], pictures_BCHW.flip(-2), pictures_BCHW)
    return pictures_BCHW, mirrored(targets, flipped_B, height, upright=True)


def _coloured(pictures_BCHW: Tensor, factors_3B: Tensor) -> Tensor:
    """Brightness, contrast, saturation in torchvision's order, clamped once. The canvas border changes with contrast.

    Contrast is around the picture's mean, saturation around grey.
    """
    brightness, contrast, saturation = to_device(factors_3B.float(), pictures_BCHW.device)[..., None, None, None]
    values_BCHW = pictures_BCHW.float() * brightness
    weights_3 = to_device(torch.tensor(GREY_3), values_BCHW.device)[:, None, None]
    mean_B = (values_BCHW * weights_3).sum(1, keepdim=True).mean((2, 3), keepdim=True)
    values_BCHW = mean_B + (values_BCHW - mean_B) * contrast
    grey_B1HW = (values_BCHW * weights_3).sum(1, keepdim=True)
    values_BCHW = grey_B1HW + (values_BCHW - grey_B1HW) * saturation
    coloured_BCHW: Tensor = values_BCHW.round().clamp(0, 255).to(torch.uint8)
    return coloured_BCHW


def _zoomed(pictures_BCHW: Tensor, targets: BoxTargets, drawn_3B: Tensor, zoom: float) -> tuple[Tensor, BoxTargets]:
    """Windows have whole pixels, so that a picture and its boxes are cut alike."""
    height, width = pictures_BCHW.shape[-2:]
    scale_B = 1 / (1 + (zoom - 1) * drawn_3B[0])
    heights_B, widths_B = (height * scale_B).round().clamp_min(1), (width * scale_B).round().clamp_min(1)
    top_B = (drawn_3B[1] * (height - heights_B + 1)).floor()
    left_B = (drawn_3B[2] * (width - widths_B + 1)).floor()
    windows_B4 = torch.stack([left_B, top_B, widths_B, heights_B], 1).long()
    enlarged_BCHW = resized_crops(pictures_BCHW, windows_B4.numpy())
    windows_B4 = to_device(windows_B4, targets.boxes_BM4.device).to(targets.boxes_BM4.dtype)
    return enlarged_BCHW, cropped(targets, windows_B4, Canvas(height=height, width=width))
