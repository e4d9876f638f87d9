"""MobileNetV2 (Sandler et al., 1801.04381) at width .5 for small pictures, as in the CRD tables (1910.10699).

Against the ImageNet network, the second stage keeps its map's size, every block expands (by 1 in the first stage), and
the last convolution stays 1280 wide. H, W: picture size.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from dpk_core.models.initialisation import initialise_convolution

STAGES = ((1, 8, 1, 1), (6, 12, 2, 1), (6, 16, 3, 2), (6, 32, 4, 2), (6, 48, 3, 1), (6, 80, 3, 2), (6, 160, 1, 1))
"""Expansion, width, blocks and stride of each stage: the paper's table 2 at half its widths."""

STEM = 16
LAST = 1280


class InvertedResidual(nn.Module):
    """Widen, filter each channel, narrow again; the narrow map is not activated."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.branch = nn.Sequential(
            *(nn.Conv2d(inputs, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.ReLU()),
            *(nn.Conv2d(wide, wide, 3, stride, padding=1, groups=wide, bias=False), nn.BatchNorm2d(wide), nn.ReLU()),
            *(nn.Conv2d(wide, outputs, 1, bias=False), nn.BatchNorm2d(outputs)),
        )
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """The block's map, smaller by its stride."""
        y_BCHW: Tensor = self.branch(x_BCHW)
        return x_BCHW + y_BCHW if self.residual else y_BCHW


class CifarMobileNetV2(nn.Module):
    """Seven stages at strides 2, 2, 4, 8, 8, 16 and 16; the last of each stride are the taps."""

    def __init__(self, *, classes: int, channels: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(channels, STEM, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(STEM), nn.ReLU()
        )
        inputs = (STEM, *(width for _, width, _, _ in STAGES[:-1]))
        self.stages = nn.ModuleList(
            nn.Sequential(*_blocks(before, *stage)) for before, stage in zip(inputs, STAGES, strict=True)
        )
        self.last = nn.Sequential(nn.Conv2d(STAGES[-1][1], LAST, 1, bias=False), nn.BatchNorm2d(LAST), nn.ReLU())
        self.head = nn.Linear(LAST, classes)
        self.apply(initialise_convolution)

    def forward(self, pictures_BCHW: Tensor) -> Tensor:
        """Logits, one row a picture."""
        x_BCHW = self.stem(pictures_BCHW)
        for stage in self.stages:
            x_BCHW = stage(x_BCHW)
        logits_BC: Tensor = self.head(torch.mean(self.last(x_BCHW), dim=(2, 3)))
        return logits_BC


def _blocks(inputs: int, expansion: int, width: int, blocks: int, stride: int) -> Iterator[nn.Module]:
    yield InvertedResidual(inputs, width, stride, expansion)
    for _ in range(blocks - 1):
        yield InvertedResidual(width, width, 1, expansion)
