"""Losses are computed in float32 or better, whatever precision the networks run in."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor

Loss = TypeVar("Loss", bound=Callable[..., Any])


def full_precision(loss: Loss) -> Loss:
    """A loss function whose tensors, all of its positional arguments that are one, reach it in at least float32 and
    that runs outside of autocast and without TF32; its gradient is computed as the recipe says. The first argument must
    be a tensor."""

    @functools.wraps(loss)
    def computed(first: Tensor, *rest: Any, **options: Any) -> Any:
        with torch.autocast(first.device.type, enabled=False), tf32(False):
            return loss(*(_wide(value) for value in (first, *rest)), **options)

    return computed  # type: ignore[return-value]  # same signature, which a wrapper cannot show


@contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Whether a GPU may round what it multiplies in float32 to TF32's 10 bits, in convolutions and matrix products.

    torch's own default allows it in convolutions alone. On a CPU nothing changes.
    """
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    set_tf32(allowed, allowed)
    try:
        yield
    finally:
        set_tf32(*before)


def set_tf32(products: bool, convolutions: bool) -> None:
    """Allows or forbids TF32 in each of the two from here on."""
    # torch's newer names for these cannot be mixed with them, and parts of its compiler still read these.
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = products, convolutions


def _wide(value: Any) -> Any:
    """Floating tensors of less than 32 bits as float32; all else as it is."""
    if isinstance(value, Tensor) and value.is_floating_point():
        return value.to(torch.promote_types(value.dtype, torch.float32))
    return value
