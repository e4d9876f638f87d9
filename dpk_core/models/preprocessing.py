"""Feeds a network pictures as it was trained on them, out of pictures normalised for the data set.

A hook, so that the network's module names and weights stay what they are, and so that every method, evaluation and
score feeds it alike. B pictures, C channels, H x W.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.hooks import RemovableHandle

from dpk_core.preprocessing import ModelPreprocessing

WHITE = 255.0
"""The data set's mean and deviation are in the pictures' own unit, 0 … 255."""


def feed_as_trained(
    model: nn.Module, own: ModelPreprocessing, mean_C: Tensor, std_C: Tensor, *, first: bool = False
) -> RemovableHandle:
    """From now on `model` takes pictures that were normalised by `mean_C` and `std_C` (the data set's) and sees them
    as `own` says. `first`: before what was asked for earlier.

    One affine step by channel, then resizing, which is linear too, so their order does not matter.
    """
    affine = None
    if own.channel_order == "bgr":
        mean_C, std_C = mean_C.flip(0), std_C.flip(0)
    if own.mean is not None and own.std is not None:
        own_mean, own_std = (torch.tensor(each, device=mean_C.device) for each in (own.mean, own.std))
        if mean_C.numel() == 1 and own.channels(1) == 1:
            own_mean, own_std = own_mean[:1], own_std[:1]
        factor_C = std_C * (own.scale / WHITE) / own_std
        offset_C = (mean_C * (own.scale / WHITE) - own_mean) / own_std
        affine = factor_C[:, None, None], offset_C[:, None, None]

    def feed(_: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
        (pictures_BCHW,) = inputs
        if own.channel_order == "bgr":
            pictures_BCHW = pictures_BCHW.flip(1)
        if affine is not None:
            # One channel becomes three where the network scales them differently.
            pictures_BCHW = torch.addcmul(affine[1], pictures_BCHW, affine[0])
        if own.side is not None and own.side != pictures_BCHW.shape[-1]:
            pictures_BCHW = _resized(pictures_BCHW, own.side, own)
        return (pictures_BCHW,)

    if own.side is not None:
        setattr(model, _SIDE, own.side)
    return model.register_forward_pre_hook(feed, prepend=first)


def entrance(model: nn.Module) -> nn.Module:
    """Where pictures enter a detector: its backbone, which is asked alone too, and whose input has no boxes."""
    backbone = model.backbone
    assert isinstance(backbone, nn.Module)
    return backbone


def side_seen(model: nn.Module, picture_side: int) -> int:
    """The side of the pictures that the network itself sees; evaluation sets its batches by it."""
    side: Any = getattr(model, _SIDE, picture_side)
    return int(side)


_SIDE = "side_seen"


def _resized(pictures_BCHW: Tensor, side: int, own: ModelPreprocessing) -> Tensor:
    if own.interpolation == "nearest":
        return F.interpolate(pictures_BCHW, size=(side, side), mode="nearest-exact")
    return F.interpolate(pictures_BCHW, size=(side, side), mode=own.interpolation, antialias=True)
