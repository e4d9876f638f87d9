"""Means over an epoch's steps, kept on the device so that a step needs no host synchronisation."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dpk_core.errors import TrainingDiverged


class Averages:
    """Running sums of named scalars in float64; part of a checkpoint, so an epoch may be resumed in its middle.

    A value need not be there in every step: its mean is over the steps that had it.
    """

    def __init__(self) -> None:
        self.steps: dict[str, int] = {}
        self.sums: dict[str, Tensor] = {}

    def add(self, values: dict[str, Tensor]) -> None:
        """Adds one step's 0-dim values."""
        for name, value in values.items():
            self.steps[name] = self.steps.get(name, 0) + 1
            self.sums[name] = self.sums[name] + value.double() if name in self.sums else value.double()

    def means(self) -> dict[str, float]:
        """Mean of each value over the steps so far, fetched at once."""
        if not self.sums:
            return {}
        fetched: list[float] = torch.stack(list(self.sums.values())).tolist()
        return {name: value / self.steps[name] for name, value in zip(self.sums, fetched, strict=True)}

    def check(self, step: int) -> None:
        """Raises TrainingDiverged when any value so far was not finite. One host synchronisation."""
        for name, mean in self.means().items():
            if not math.isfinite(mean):
                first = " Nothing was updated before: look at the weights and pictures it starts from."
                message = f"The training diverged: {name} was no finite number by step {step}."
                raise TrainingDiverged(message + (first if step == 1 else ""))

    def reset(self) -> None:
        """Starts a new epoch."""
        self.steps = {}
        self.sums = {}
