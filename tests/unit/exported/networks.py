"""Small networks that exist in these tests alone, exported as their owners would do it."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dpk_core.catalogue import own_models

BATCH = torch.export.Dim("batch")


class Excited(nn.Module):
    """A residual block with squeeze-and-excitation."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)
        self.squeeze, self.excite = nn.Linear(outputs, 4), nn.Linear(4, outputs)
        self.relu = nn.ReLU(inplace=True)
        self.short: nn.Module = nn.Identity()
        if stride > 1:
            self.short = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, given: Tensor) -> Tensor:
        maps = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(given)))))
        weights = self.excite(torch.relu(self.squeeze(maps.mean((2, 3))))).sigmoid()
        return torch.relu(maps * weights[:, :, None, None] + self.short(given))


class ExcitedNet(nn.Module):
    """Three blocks in a list, dropout and a linear head."""

    def __init__(self, channels: int = 1, classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(channels, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.stages = nn.ModuleList([Excited(8, 8, 1), Excited(8, 16, 2), Excited(16, 24, 2)])
        self.drop, self.head = nn.Dropout(0.2, inplace=True), nn.Linear(24, classes)

    def forward(self, pictures: Tensor) -> Tensor:
        maps = self.stem(pictures)
        for stage in self.stages:
            maps = stage(maps)
        scores: Tensor = self.head(self.drop(maps.mean((2, 3))))
        return scores


class TinyVit(nn.Module):
    """Patches, a class token, a table of positions, and two blocks of attention."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 16, 4, 4)
        self.token, self.table = nn.Parameter(torch.zeros(1, 1, 16)), nn.Parameter(torch.randn(1, 17, 16))
        layer = nn.TransformerEncoderLayer(16, 2, 32, 0.1, batch_first=True, norm_first=True)
        self.blocks = nn.ModuleList([layer, nn.TransformerEncoderLayer(16, 2, 32, 0.1, batch_first=True)])
        self.scale = nn.Parameter(torch.full((16,), 0.5))
        self.head = nn.Linear(16, 10)

    def forward(self, pictures: Tensor) -> Tensor:
        tokens = self.patch(pictures).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(pictures.shape[0], -1, -1), tokens], 1) + self.table
        for block in self.blocks:
            tokens = block(tokens)
        scores: Tensor = self.head(tokens[:, 0] * self.scale)
        return scores


class Folded(nn.Module):
    """Convolutions with biases, and nothing where batch normalisation was."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn, self.relu = nn.Conv2d(1, 8, 3), nn.Identity(), nn.ReLU()
        self.head = nn.Linear(8, 10)

    def forward(self, pictures: Tensor) -> Tensor:
        scores: Tensor = self.head(self.relu(self.bn(self.conv(pictures))).mean((2, 3)))
        return scores


def export(
    network: nn.Module, file: Path, *, channels: int = 1, side: int = 8, training: bool = False, **how: Any
) -> Path:
    """Exports for any batch, unless `how` says otherwise, and saves as people do."""
    network.train(training)
    shapes = how.pop("dynamic_shapes", ({0: BATCH},))
    program = torch.export.export(network, (torch.randn(2, channels, side, side),), dynamic_shapes=shapes, **how)
    torch.export.save(program, file)
    return file


@functools.cache
def excited() -> tuple[ExcitedNet, bytes]:
    """The network of most tests, and its export in evaluation mode for grey 8x8 pictures."""
    torch.manual_seed(0)
    network = ExcitedNet()
    for norm in (module for module in network.modules() if isinstance(module, nn.BatchNorm2d)):
        norm.running_mean = torch.rand(norm.num_features)
        norm.running_var = torch.rand(norm.num_features) + 0.5
    with tempfile.TemporaryDirectory() as folder:
        return network, export(network, Path(folder) / "excited.pt2").read_bytes()


def forget_uploads() -> None:
    """Forgets every upload that this process knows, and where to look them up."""
    own_models._sources.clear()
    own_models._known.clear()
