"""Random erasing (Zhong et al., 1708.04896): a rectangle of a picture is covered with the training split's mean colour.

Covers normalised pictures, whose mean colour is 0. B pictures, A attempts.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dpk_core.data.crops import ATTEMPTS, boxes_within
from dpk_core.data.rows import BatchRows
from dpk_core.data.to_device import to_device
from dpk_core.randomness import derive

AREA = (0.02, 0.33)
"""Part of the picture that is covered; torchvision's."""

RATIO = (0.3, 3.3)
"""Width over height, uniform in its logarithm; torchvision's."""


def erase(pictures_BCHW: Tensor, probability: float, seed: int, step: int, rows: BatchRows) -> Tensor:
    """The batch, in which each picture lost a rectangle with `probability`, unless no attempt at one fitted."""
    generator = torch.Generator().manual_seed(derive(seed, "erasing", step))
    erased_B = torch.rand(rows.total, generator=generator)[rows.places_B] < probability
    draws_BA4 = torch.rand((rows.total, ATTEMPTS, 4), generator=generator, dtype=torch.float64)[rows.places_B]
    height, width = pictures_BCHW.shape[-2:]
    boxes_B4, fits_B = boxes_within(draws_BA4.numpy(), height, width, AREA, RATIO)
    boxes_B4[~(fits_B & erased_B.numpy())] = 0
    left_B, top_B, widths_B, heights_B = to_device(torch.from_numpy(boxes_B4), pictures_BCHW.device).unbind(1)
    covered_BHW = _between(top_B, heights_B, height)[:, :, None] & _between(left_B, widths_B, width)[:, None, :]
    return pictures_BCHW.masked_fill(covered_BHW[:, None], 0.0)


def _between(first_B: Tensor, count_B: Tensor, side: int) -> Tensor:
    """B x side: which positions are among the `count_B` from `first_B` on."""
    positions_S = torch.arange(side, device=first_B.device)
    return (positions_S >= first_B[:, None]) & (positions_S < (first_B + count_B)[:, None])
