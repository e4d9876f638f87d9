"""Feature maps as libraries give them, and as the methods take them: BxCxHxW.

Three layouts: `nchw`; `nhwc` (Swin and its kin); `tokens:<n>`, a sequence of n prefix tokens and then the map row by
row (ViT). Legend: B pictures, C channels, HxW map, T tokens with their prefix.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

MOST_PREFIX_TOKENS = 5
"""Class token and four registers: the longest prefix that is looked for where a model declares none."""


@dataclass(frozen=True, slots=True)
class MapShape:
    """A feature map recognised in an output: its layout, channels and height."""

    layout: str
    channels: int
    height: int


def first_tensor(output: Any) -> Tensor | None:
    """The output, or the first item of a tuple or list (some blocks hand on their map's size beside it)."""
    if isinstance(output, tuple | list) and output:
        output = output[0]
    return output if isinstance(output, Tensor) else None


def as_map(output: Any, layout: str) -> Tensor | None:
    """The map in `output` as BxCxHxW, a view wherever one will do; None where `output` does not have that layout.

    Tokens must come from a square map.
    """
    tensor = first_tensor(output)
    if layout.startswith("tokens:"):
        prefix = int(layout.removeprefix("tokens:"))
        if tensor is None or tensor.ndim != 3:
            return None
        side = math.isqrt(max(tensor.shape[1] - prefix, 0))
        if side == 0 or side * side != tensor.shape[1] - prefix:
            return None
        return tensor[:, prefix:].transpose(1, 2).reshape(len(tensor), -1, side, side)
    if tensor is None or tensor.ndim != 4:
        return None
    return tensor.permute(0, 3, 1, 2) if layout == "nhwc" else tensor


def map_shape(
    output: Any, pictures_BCHW: torch.Size, channels: int | None = None, prefixes: Sequence[int] = ()
) -> MapShape | None:
    """The map in `output`, if it is one: a map for each picture, of its proportions, with more than one position.

    `pictures_BCHW`: shape of the input; `channels`: how many the map must have, if known; `prefixes`: how many prefix
    tokens a sequence may have, the likeliest first.
    """
    tensor = first_tensor(output)
    B, _, *picture = pictures_BCHW
    if tensor is None or tensor.shape[:1] != (B,):
        return None
    if tensor.ndim == 3 and picture[0] == picture[1]:
        layouts = [f"tokens:{prefix}" for prefix in prefixes]
    else:
        layouts = ["nchw", "nhwc"]
    for layout in layouts:
        map_BCHW = as_map(tensor, layout)
        if map_BCHW is None or channels not in (None, map_BCHW.shape[1]):
            continue
        height, width = map_BCHW.shape[2:]
        if height * width > 1 and stride_of(picture[0], height) == stride_of(picture[1], width) > 0:
            return MapShape(layout, map_BCHW.shape[1], height)
    return None


def stride_of(picture: int, side: int) -> int:
    """The stride that makes a map of `side` from `picture`: the power of two that does it exactly, else the nearest."""
    exact = (2**n for n in range(picture.bit_length()) if side in (picture // 2**n, -(-picture // 2**n)))
    return next(exact, round(picture / side))
