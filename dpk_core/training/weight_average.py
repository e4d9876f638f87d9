"""The running average of a network's weights and buffers.

As torch's `AveragedModel`, which counts its updates in a tensor on the CPU and copies that to the device in each of
them, and so makes the host wait.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn


class WeightAverage:
    """`network` is the average: the trained network after its first update, from then on `decay` of itself and the rest
    of the trained one. Whole numbers, as counts of batches, are the trained network's."""

    def __init__(self, trained: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(trained)
        self._decay, self._began = decay, False

    @torch.no_grad()
    def update(self, trained: nn.Module) -> None:
        """Takes in what the trained network is now."""
        floating: tuple[list[Tensor], list[Tensor]] = ([], [])
        for own, new in zip(_tensors(self.network), _tensors(trained), strict=True):
            if self._began and own.is_floating_point():
                floating[0].append(own)
                floating[1].append(new)
            else:
                own.copy_(new)
        if floating[0]:
            torch._foreach_lerp_(*floating, 1 - self._decay)
        self._began = True

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds of it."""
        return {"network": self.network.state_dict(), "began": self._began}

    def restore(self, state: dict[str, Any]) -> None:
        """Takes back what `state` gave."""
        self.network.load_state_dict(state["network"])
        self._began = state["began"]


def _tensors(network: nn.Module) -> list[Tensor]:
    return [*network.parameters(), *network.buffers()]
