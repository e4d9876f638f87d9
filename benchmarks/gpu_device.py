"""How the processes of the GPU benchmark treat their device."""

from __future__ import annotations

import torch


def use(device: torch.device) -> None:
    """Makes a GPU this process's current one, as in the runner: what is given no device, as an event, is then on it."""
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)


def wait(device: torch.device) -> None:
    """Until a GPU has done all that is queued."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
