"""How benchmarks wait for a device."""

from __future__ import annotations

import torch


def wait(device: torch.device) -> None:
    """Until a GPU has done all that is queued."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
