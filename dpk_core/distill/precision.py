"""Losses are computed in float32 or better, whatever precision the networks run in."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

Loss = TypeVar("Loss", bound=Callable[..., Any])


def full_precision(loss: Loss) -> Loss:
    """A loss function whose tensors, all of its positional arguments that are one, reach it in at least float32 and
    that runs outside of autocast. The first argument must be a tensor."""

    @functools.wraps(loss)
    def computed(first: Tensor, *rest: Any, **options: Any) -> Any:
        with torch.autocast(first.device.type, enabled=False):
            return loss(*(_wide(value) for value in (first, *rest)), **options)

    return computed  # type: ignore[return-value]  # same signature, which a wrapper cannot show


def _wide(value: Any) -> Any:
    """Floating tensors of less than 32 bits as float32; all else as it is."""
    if isinstance(value, Tensor) and value.is_floating_point():
        return value.to(torch.promote_types(value.dtype, torch.float32))
    return value
