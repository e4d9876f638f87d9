"""ResNets for small pictures (He et al., 1512.03385, section 4.2), in the sizes of the distillation literature.

Where a block changes stride or width its shortcut is a 1x1 convolution with batch norm, as in the CRD tables
(Tian et al., 1910.10699), so parameter counts can be compared with published ones. H, W: picture size.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dpk_core.catalogue.cifar_models import CifarShape
from dpk_core.models.initialisation import initialise_convolution


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut; the output is taken after the last ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """The block's map, smaller by its stride."""
        y_BCHW = F.relu(self.norm1(self.conv1(x_BCHW)))
        y_BCHW = self.norm2(self.conv2(y_BCHW))
        return F.relu(y_BCHW + self.shortcut(x_BCHW))


class CifarResNet(nn.Module):
    """Three stages of basic blocks at strides 1, 2 and 4; `stages.0` … `stages.2` are the taps."""

    def __init__(self, shape: CifarShape, *, classes: int, channels: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(channels, shape.stem, 3, padding=1, bias=False), nn.BatchNorm2d(shape.stem), nn.ReLU()
        )
        inputs = (shape.stem, *shape.widths[:2])
        self.stages = nn.ModuleList(
            _stage(before, width, shape.blocks, stride)
            for before, width, stride in zip(inputs, shape.widths, (1, 2, 2), strict=True)
        )
        self.head = nn.Linear(shape.widths[-1], classes)
        self.apply(initialise_convolution)

    def forward(self, pictures_BCHW: Tensor) -> Tensor:
        """Logits, one row a picture."""
        x_BCHW = self.stem(pictures_BCHW)
        for stage in self.stages:
            x_BCHW = stage(x_BCHW)
        logits_BC: Tensor = self.head(torch.mean(x_BCHW, dim=(2, 3)))
        return logits_BC


def _stage(inputs: int, width: int, blocks: int, stride: int) -> nn.Sequential:
    first = BasicBlock(inputs, width, stride)
    return nn.Sequential(first, *(BasicBlock(width, width, 1) for _ in range(blocks - 1)))
