"""Networks that are stacks of 3x3 convolutions: VGG for small pictures, and plain CNNs of 2 to 10 layers.

VGG (Simonyan and Zisserman, 1409.1556) as in the CRD tables (Tian et al., 1910.10699): batch norm, one linear layer, no
pooling between the last two stages. Plain CNNs: layers and widths as in Mirzadeh et al. (1902.03393, for CIFAR-100),
but averaged over the map before the one linear layer, so that pictures of any size fit. H, W: picture size.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dpk_core.models.initialisation import initialise_convolution

Widths = tuple[tuple[int, ...], ...]

STACKS: dict[str, Widths] = {
    "vgg8": ((64,), (128,), (256,), (512,), (512,)),
    "vgg13": ((64, 64), (128, 128), (256, 256), (512, 512), (512, 512)),
    "plain2": ((32,), (32,)),
    "plain4": ((32, 32), (64, 64)),
    "plain6": ((32, 32), (64, 64), (128, 128)),
    "plain8": ((32, 32), (64, 64), (128, 128), (256, 256)),
    "plain10": ((32, 32), (64, 64), (128, 128), (256, 256, 256, 256)),
}
"""Widths of the convolutions, stage by stage."""

POOLED_STAGES = 3
"""After so many stages the map is halved; what follows keeps its size."""


class CifarConvolutions(nn.Module):
    """Stages at strides 1, 2, 4, 8 and 8; `stages.0` … are the taps, after their ReLU and before pooling."""

    def __init__(self, widths: Widths, *, classes: int, channels: int) -> None:
        super().__init__()
        inputs = (channels, *(stage[-1] for stage in widths[:-1]))
        self.stages = nn.ModuleList(
            nn.Sequential(*_layers(before, stage)) for before, stage in zip(inputs, widths, strict=True)
        )
        self.head = nn.Linear(widths[-1][-1], classes)
        self.apply(initialise_convolution)

    def forward(self, pictures_BCHW: Tensor) -> Tensor:
        """Logits, one row a picture."""
        x_BCHW = pictures_BCHW
        for index, stage in enumerate(self.stages):
            x_BCHW = stage(F.max_pool2d(x_BCHW, 2, ceil_mode=True) if 0 < index <= POOLED_STAGES else x_BCHW)
        logits_BC: Tensor = self.head(torch.mean(x_BCHW, dim=(2, 3)))
        return logits_BC


def _layers(inputs: int, widths: tuple[int, ...]) -> Iterator[nn.Module]:
    for width in widths:
        yield from (nn.Conv2d(inputs, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())
        inputs = width
