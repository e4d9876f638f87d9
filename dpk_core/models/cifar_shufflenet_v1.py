"""ShuffleNetV1 (Zhang et al., 1707.01083) with 3 groups for small pictures, as in the CRD tables (1910.10699).

The stem is a 1x1 convolution at full size instead of a strided one with pooling. H, W: picture size.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dpk_core.models.initialisation import initialise_convolution

STEM = 24
GROUPS = 3
STAGES = ((240, 4), (480, 8), (960, 4))
"""Width and units of each stage; the first unit of a stage halves the map."""


class ShuffleUnit(nn.Module):
    """Grouped 1x1, shuffle, 3x3 on each channel, grouped 1x1; a halving unit is joined to its averaged input."""

    def __init__(self, inputs: int, outputs: int, *, halves: bool) -> None:
        super().__init__()
        gives = outputs - inputs if halves else outputs
        narrow = gives // 4
        # The stem's few channels are not worth grouping (the paper's section 3.3).
        first = 1 if inputs == STEM else GROUPS
        stride = 2 if halves else 1
        self.enter = nn.Sequential(nn.Conv2d(inputs, narrow, 1, groups=first, bias=False), nn.BatchNorm2d(narrow))
        self.shuffle = nn.ChannelShuffle(first)
        self.leave = nn.Sequential(
            *(nn.Conv2d(narrow, narrow, 3, stride, padding=1, groups=narrow, bias=False), nn.BatchNorm2d(narrow)),
            *(nn.Conv2d(narrow, gives, 1, groups=GROUPS, bias=False), nn.BatchNorm2d(gives)),
        )
        self.halves = halves

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """The unit's map, activated."""
        y_BCHW = self.leave(self.shuffle(F.relu(self.enter(x_BCHW))))
        if self.halves:
            return F.relu(torch.cat((y_BCHW, F.avg_pool2d(x_BCHW, 3, stride=2, padding=1)), dim=1))
        return F.relu(y_BCHW + x_BCHW)


class CifarShuffleNetV1(nn.Module):
    """Three stages at strides 2, 4 and 8; `stages.0` … `stages.2` are the taps."""

    def __init__(self, *, classes: int, channels: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(channels, STEM, 1, bias=False), nn.BatchNorm2d(STEM), nn.ReLU())
        inputs = (STEM, *(width for width, _ in STAGES[:-1]))
        self.stages = nn.ModuleList(
            nn.Sequential(*_units(before, *stage)) for before, stage in zip(inputs, STAGES, strict=True)
        )
        self.head = nn.Linear(STAGES[-1][0], classes)
        self.apply(initialise_convolution)

    def forward(self, pictures_BCHW: Tensor) -> Tensor:
        """Logits, one row a picture."""
        x_BCHW = self.stem(pictures_BCHW)
        for stage in self.stages:
            x_BCHW = stage(x_BCHW)
        logits_BC: Tensor = self.head(torch.mean(x_BCHW, dim=(2, 3)))
        return logits_BC


def _units(inputs: int, width: int, units: int) -> Iterator[nn.Module]:
    yield ShuffleUnit(inputs, width, halves=True)
    for _ in range(units - 1):
        yield ShuffleUnit(width, width, halves=False)
