"""Averages over a map. B pictures, C channels, H x W map.

`adaptive_avg_pool2d` gives the same numbers, but its gradient on a GPU is not reproducible; two small matrix products
are. Losses call these in at least float32.
"""

from __future__ import annotations

import torch
from torch import Tensor


def average_pool(map_BCHW: Tensor, rows: int, columns: int) -> Tensor:
    """The map at `rows` x `columns`, each value the mean over the part of the map it stands for."""
    _, _, height, width = map_BCHW.shape
    if (height, width) == (rows, columns):
        return map_BCHW
    down_rH, across_cW = _windows(height, rows, map_BCHW), _windows(width, columns, map_BCHW)
    return down_rH @ map_BCHW @ across_cW.T


def pooled_vector(map_BCHW: Tensor) -> Tensor:
    """The mean over all positions, BxC: what a classifier's global pooling sees."""
    return map_BCHW.mean(dim=(2, 3))


def _windows(size: int, parts: int, like: Tensor) -> Tensor:
    """parts x size: row i averages positions ⌊i·size/parts⌋ … ⌈(i+1)·size/parts⌉ − 1."""
    part_P1 = torch.arange(parts, device=like.device)[:, None]
    position_S = torch.arange(size, device=like.device)
    inside_PS = (position_S >= part_P1 * size // parts) & (position_S * parts < (part_P1 + 1) * size)
    return inside_PS.to(like.dtype) / inside_PS.sum(dim=1, keepdim=True)
