"""The arithmetic of a training's steps, by its recipe's `precision`."""

from __future__ import annotations

import torch

from dpk_core.distill.precision import set_tf32
from dpk_core.spec import Precision

_LOW: dict[Precision, torch.dtype] = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """Lets the networks run in fewer bits where the precision has fewer."""
    return torch.autocast(device.type, _LOW.get(precision), enabled=precision in _LOW)


def set_float32(precision: Precision) -> None:
    """Allows TF32 on GPUs where the precision is `tf32`, and forbids it otherwise, from here on."""
    set_tf32(precision == "tf32", precision == "tf32")
