"""Wide residual networks for small pictures (Zagoruyko and Komodakis, 1605.07146), `wrn_<depth>_<factor>`.

Batch norm and ReLU come before each convolution; where a block changes width its shortcut is a 1x1 convolution of the
activated input. H, W: picture size.
"""

import re

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dpk_core.models.initialisation import initialise_convolution


class PreactivationBlock(nn.Module):
    """Two 3x3 convolutions, each behind its norm and ReLU; the sum is not activated."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.widen = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if inputs != outputs else None

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """The block's map, smaller by its stride."""
        active_BCHW = F.relu(self.norm1(x_BCHW))
        y_BCHW = self.conv2(F.relu(self.norm2(self.conv1(active_BCHW))))
        shortcut_BCHW: Tensor = x_BCHW if self.widen is None else self.widen(active_BCHW)
        sum_BCHW: Tensor = shortcut_BCHW + y_BCHW
        return sum_BCHW


class CifarWideResNet(nn.Module):
    """Three stages at strides 1, 2 and 4; the taps are the norms behind them (catalogue, `WIDE_RESNETS`)."""

    def __init__(self, member: str, *, classes: int, channels: int) -> None:
        """`member`: `wrn_<depth>_<factor>`, depth 6n + 4."""
        super().__init__()
        match = re.fullmatch(r"wrn_(\d+)_(\d+)", member)
        assert match is not None, member
        depth, factor = int(match[1]), int(match[2])
        widths = (16, 16 * factor, 32 * factor, 64 * factor)
        self.stem = nn.Conv2d(channels, widths[0], 3, padding=1, bias=False)
        self.stages = nn.ModuleList(
            _stage(before, width, (depth - 4) // 6, stride)
            for before, width, stride in zip(widths[:3], widths[1:], (1, 2, 2), strict=True)
        )
        self.norm = nn.BatchNorm2d(widths[-1])
        self.head = nn.Linear(widths[-1], classes)
        self.apply(initialise_convolution)

    def forward(self, pictures_BCHW: Tensor) -> Tensor:
        """Logits, one row a picture."""
        x_BCHW = self.stem(pictures_BCHW)
        for stage in self.stages:
            x_BCHW = stage(x_BCHW)
        logits_BC: Tensor = self.head(torch.mean(F.relu(self.norm(x_BCHW)), dim=(2, 3)))
        return logits_BC


def _stage(inputs: int, width: int, blocks: int, stride: int) -> nn.Sequential:
    first = PreactivationBlock(inputs, width, stride)
    return nn.Sequential(first, *(PreactivationBlock(width, width, 1) for _ in range(blocks - 1)))
