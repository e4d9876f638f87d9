"""Random resized crops (Szegedy et al. 2015, as on ImageNet): drawn first, cut where the pictures are.

The draws say nothing about sizes, so one draw fits pictures of any size, decoded or not. Shapes: B pictures, A
attempts, 4 numbers each, uniform in [0, 1): area, aspect ratio, top, left.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from dpk_core.data.to_device import to_device
from dpk_core.randomness import derive

ATTEMPTS = 10
AREA = (0.08, 1.0)
"""Part of the picture that a crop covers."""
RATIO = (3 / 4, 4 / 3)
"""Width over height, uniform in its logarithm."""

Draws = NDArray[np.float64]
Boxes = NDArray[np.int64]


def draw_crops(seed: int, step: int, pictures: int) -> Draws:
    """The draws (B x A x 4) of a step."""
    generator = torch.Generator().manual_seed(derive(seed, "crop", step))
    return torch.rand((pictures, ATTEMPTS, 4), generator=generator, dtype=torch.float64).numpy()


def crop_boxes(draws_BA4: Draws, height: int, width: int) -> Boxes:
    """Left, top, width, height (B x 4, pixels) in pictures of one size: the first attempt that fits.

    Where none fits, the largest box in the middle whose aspect ratio is allowed.
    """
    boxes_B4, fits_B = boxes_within(draws_BA4, height, width, AREA, RATIO)
    boxes_B4[~fits_B] = _middle(height, width)
    return boxes_B4


def boxes_within(
    draws_BA4: Draws, height: int, width: int, area: tuple[float, float], ratio: tuple[float, float]
) -> tuple[Boxes, NDArray[np.bool_]]:
    """Boxes as of `crop_boxes` and which of them fit: those of pictures of which no attempt does mean nothing."""
    area_BA = (area[0] + (area[1] - area[0]) * draws_BA4[..., 0]) * height * width
    low, high = math.log(ratio[0]), math.log(ratio[1])
    ratio_BA = np.exp(low + (high - low) * draws_BA4[..., 1])
    widths_BA = np.rint(np.sqrt(area_BA * ratio_BA)).astype(np.int64)
    heights_BA = np.rint(np.sqrt(area_BA / ratio_BA)).astype(np.int64)
    fits_BA = (widths_BA >= 1) & (widths_BA <= width) & (heights_BA >= 1) & (heights_BA <= height)
    which_B = np.arange(len(draws_BA4)), fits_BA.argmax(1)
    widths_B, heights_B = widths_BA[which_B], heights_BA[which_B]
    left_B = np.floor(draws_BA4[which_B][:, 3] * (width - widths_B + 1)).astype(np.int64)
    top_B = np.floor(draws_BA4[which_B][:, 2] * (height - heights_B + 1)).astype(np.int64)
    boxes_B4: Boxes = np.stack([left_B, top_B, widths_B, heights_B], 1)
    return boxes_B4, fits_BA[which_B]


def resized_crops(pictures_BCHW: Tensor, boxes_B4: Boxes) -> Tensor:
    """Each picture's box, enlarged to the picture's size (bilinear), uint8 as before."""
    height, width = pictures_BCHW.shape[-2:]
    boxes = to_device(torch.from_numpy(boxes_B4).float(), pictures_BCHW.device)
    left_B, top_B, widths_B, heights_B = boxes.unbind(1)
    theta_B23 = torch.zeros(len(boxes), 2, 3, device=pictures_BCHW.device)
    theta_B23[:, 0, 0], theta_B23[:, 0, 2] = widths_B / width, (2 * left_B + widths_B) / width - 1
    theta_B23[:, 1, 1], theta_B23[:, 1, 2] = heights_B / height, (2 * top_B + heights_B) / height - 1
    grid_BHW2 = F.affine_grid(theta_B23, list(pictures_BCHW.shape), align_corners=False)
    cut_BCHW = F.grid_sample(pictures_BCHW.float(), grid_BHW2, padding_mode="border", align_corners=False)
    return cut_BCHW.round().clamp(0, 255).to(torch.uint8)


def _middle(height: int, width: int) -> tuple[int, int, int, int]:
    ratio = min(max(width / height, RATIO[0]), RATIO[1])
    inner_width = max(1, min(width, round(height * ratio)))
    inner_height = max(1, min(height, round(width / ratio)))
    return (width - inner_width) // 2, (height - inner_height) // 2, inner_width, inner_height
