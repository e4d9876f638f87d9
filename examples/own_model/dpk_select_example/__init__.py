"""A small residual network with squeeze-and-excitation, as a plug-in of DPK Select.

Whatever `squeeze_mini` returns is trained and tapped as any model of the catalogue. Its own code draws its first
weights, with torch's random state set from the job's seed; so it draws from torch's default generator alone.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Block(nn.Module):
    """Two convolutions, re-weighted by channel, beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs),
        )  # fmt: skip
        self.squeeze, self.excite = nn.Linear(outputs, outputs // 4), nn.Linear(outputs // 4, outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, pictures: Tensor) -> Tensor:
        """B x inputs x H x W to B x outputs x H/stride x W/stride."""
        maps = self.convolutions(pictures)
        weights = self.excite(torch.relu(self.squeeze(maps.mean((2, 3))))).sigmoid()
        return torch.relu(maps * weights[:, :, None, None] + self.shortcut(pictures))


class SqueezeMini(nn.Module):
    """Three stages behind a stem; maps at strides 1, 2 and 4."""

    def __init__(self, classes: int, channels: int, width: int = 16) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, width, 3, 1, 1)
        self.stages = nn.Sequential(
            Block(width, width, 1), Block(width, 2 * width, 2), Block(2 * width, 4 * width, 2)
        )  # fmt: skip
        self.head = nn.Linear(4 * width, classes)

    def forward(self, pictures: Tensor) -> Tensor:
        """Class scores, B x classes."""
        scores: Tensor = self.head(self.stages(self.stem(pictures)).mean((2, 3)))
        return scores


def squeeze_mini(*, classes: int, channels: int, side: int) -> nn.Module:  # noqa: ARG001  (every plug-in is given it)
    """What the entry point names. `side`: of the square pictures in pixels, which this network need not know."""
    return SqueezeMini(classes, channels)
