"""How pictures were prepared for a network when it was trained: scaling, size and order of channels. Plain data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

Interpolation = Literal["nearest", "bilinear", "bicubic"]
ChannelOrder = Literal["rgb", "bgr"]
MOST_SIDE = 4096
"""Pixels: no network that we know of sees larger pictures, and a batch of them fits no memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPreprocessing:
    """A network sees (scale · picture − mean) / std, pictures in 0 … 1, by channel in the network's own order.

    `mean`, `std`: one number, or one a channel; None: not known, so the data set's own are used. `measured`: they are
    not known, and the one of `COMMON_SCALINGS` that is clearly the best on validation pictures is used, if any is.
    `side`: of the square pictures, in pixels; None: as the data set's pictures are. `interpolation`: how they are
    resized to it.
    """

    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    scale: float = 1.0
    side: int | None = None
    interpolation: Interpolation = "bilinear"
    channel_order: ChannelOrder = "rgb"
    measured: bool = False

    def __post_init__(self) -> None:
        if self.measured and self.mean is not None:
            raise ValueError("scaling is either given or measured")
        if (self.mean is None) != (self.std is None):
            raise ValueError("mean and std belong together")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if values is not None and (len(values) not in (1, 3) or not all(map(math.isfinite, values))):
                raise ValueError(f"{name} must be one number, or one for each of three channels")
        if self.std is not None and min(self.std) <= 0:
            raise ValueError("std must be above 0")
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise ValueError("scale must be above 0")
        if self.side is not None and not 1 <= self.side <= MOST_SIDE:
            raise ValueError(f"side must be in 1 … {MOST_SIDE}, not {self.side}")

    def channels(self, data_channels: int) -> int:
        """Channels that the network must be built for: three where grey pictures become different ones in each."""
        differs = any(len(set(values)) > 1 for values in (self.mean or (), self.std or ()))
        return 3 if data_channels == 1 and differs else data_channels

    def grey(self) -> ModelPreprocessing:
        """The same for one channel, by the mean over channels."""
        mean, std = (None if each is None else (sum(each) / len(each),) for each in (self.mean, self.std))
        return replace(self, mean=mean, std=std)


AS_DATA = ModelPreprocessing()
"""Nothing is known: pictures are as the data set has them."""
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

COMMON_SCALINGS: dict[str, ModelPreprocessing] = {
    "ImageNet's": ModelPreprocessing(mean=IMAGENET_MEAN, std=IMAGENET_STD),
    "−1 … 1": ModelPreprocessing(mean=(0.5,), std=(0.5,)),
    "0 … 1": ModelPreprocessing(mean=(0.0,), std=(1.0,)),
    "0 … 255": ModelPreprocessing(mean=(0.0,), std=(1.0,), scale=255.0),
}
"""What weights of unknown scaling are compared under, beside the data set's own mean and deviation."""


def asked_for(preprocessing: ModelPreprocessing) -> str:
    """The scaling as the command line takes it: `mean=0.5,std=0.5`."""
    words = [] if preprocessing.scale == 1 else [f"scale={preprocessing.scale:g}"]
    for name, values in (("mean", preprocessing.mean), ("std", preprocessing.std)):
        words += [] if values is None else [f"{name}={joined(values)}"]
    return ",".join(words)


def joined(values: Sequence[float]) -> str:
    """Numbers as the command line takes a list of them."""
    return "/".join(f"{each:g}" for each in values)
