"""What becomes of a run where torch has no deterministic implementation of one of its operations.

Runs compute deterministically (`make_deterministic`), and torch refuses an operation that cannot, such as the gradient
of adaptive average pooling on a GPU (torchvision's AlexNet and VGG). Such a run is begun again without that promise.
Its whole mode changes, not one operation: with `warn_only`, attention too takes faster, non-deterministic gradients.
That is why `warn_only` is not the mode of every run.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_REFUSED = re.compile(r"(\S+) does not have a deterministic implementation")
_FASTER = re.compile(r".*defaults to a non-deterministic algorithm")


def refused_operation(error: RuntimeError) -> str | None:
    """The operation that torch refused because it is not deterministic; None where `error` says something else."""
    found = _REFUSED.match(str(error))
    return found and found[1]


@contextmanager
def deterministic_where_possible() -> Iterator[None]:
    """Within the block an operation without a deterministic implementation runs in the one there is."""
    with warnings.catch_warnings():
        for known in (_REFUSED, _FASTER):
            warnings.filterwarnings("ignore", known.pattern, UserWarning)
        torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(True)


def not_deterministic(operation: str, device_name: str) -> str:
    """What a reader of the result must know."""
    return (
        f"This run is not deterministic: {operation} has no deterministic implementation on {device_name}. Training it "
        "again may give slightly different numbers."
    )
