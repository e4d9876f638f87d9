"""Copies from the host to a device without waiting for it."""

from __future__ import annotations

import torch
from torch import Tensor


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """`values` on `device`; the host does not wait for the copy. What is there already is returned as it is.

    A copy from ordinary memory makes the host wait until all work queued on the GPU is done. One from pinned memory
    does not, and torch keeps that memory until the copy is over.
    """
    if device.type == "cuda" and not values.is_cuda:
        values = values.pin_memory()
    return values.to(device, non_blocking=True)
