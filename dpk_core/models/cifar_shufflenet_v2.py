"""ShuffleNetV2 1x (Ma et al., 1807.11164) for small pictures, as in the CRD tables (Tian et al., 1910.10699).

The stem is a 1x1 convolution at full size instead of a strided one with pooling. H, W: picture size.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from dpk_core.models.initialisation import initialise_convolution

STEM = 24
STAGES = ((116, 4), (232, 8), (464, 4))
"""Width and units of each stage; the first unit of a stage halves the map."""

LAST = 1024


class SplitUnit(nn.Module):
    """One half of the channels passes unchanged, the other through three convolutions; then the halves mix."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch = _branch(width // 2, width // 2, stride=1)
        self.shuffle = nn.ChannelShuffle(2)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """A map of the input's shape."""
        kept_BCHW, changed_BCHW = x_BCHW.chunk(2, dim=1)
        mixed_BCHW: Tensor = self.shuffle(torch.cat((kept_BCHW, self.branch(changed_BCHW)), dim=1))
        return mixed_BCHW


class HalvingUnit(nn.Module):
    """Both branches see all channels and halve the map."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        half = outputs // 2
        self.short = nn.Sequential(*_each_channel(inputs, stride=2), *_mix(inputs, half))
        self.branch = _branch(inputs, half, stride=2)
        self.shuffle = nn.ChannelShuffle(2)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """The unit's map, half as high and wide."""
        mixed_BCHW: Tensor = self.shuffle(torch.cat((self.short(x_BCHW), self.branch(x_BCHW)), dim=1))
        return mixed_BCHW


class CifarShuffleNetV2(nn.Module):
    """Three stages at strides 2, 4 and 8; `stages.0` … `stages.2` are the taps, before the last convolution."""

    def __init__(self, *, classes: int, channels: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(*_mix(channels, STEM))
        inputs = (STEM, *(width for width, _ in STAGES[:-1]))
        self.stages = nn.ModuleList(
            nn.Sequential(HalvingUnit(before, width), *(SplitUnit(width) for _ in range(units - 1)))
            for before, (width, units) in zip(inputs, STAGES, strict=True)
        )
        self.last = nn.Sequential(*_mix(STAGES[-1][0], LAST))
        self.head = nn.Linear(LAST, classes)
        self.apply(initialise_convolution)

    def forward(self, pictures_BCHW: Tensor) -> Tensor:
        """Logits, one row a picture."""
        x_BCHW = self.stem(pictures_BCHW)
        for stage in self.stages:
            x_BCHW = stage(x_BCHW)
        logits_BC: Tensor = self.head(torch.mean(self.last(x_BCHW), dim=(2, 3)))
        return logits_BC


def _branch(inputs: int, outputs: int, *, stride: int) -> nn.Sequential:
    return nn.Sequential(*_mix(inputs, outputs), *_each_channel(outputs, stride=stride), *_mix(outputs, outputs))


def _mix(inputs: int, outputs: int) -> Iterator[nn.Module]:
    yield from (nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())


def _each_channel(width: int, *, stride: int) -> Iterator[nn.Module]:
    yield nn.Conv2d(width, width, 3, stride, padding=1, groups=width, bias=False)
    yield nn.BatchNorm2d(width)
