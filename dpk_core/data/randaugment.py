"""RandAugment (Cubuk et al., 1909.13719) for whole batches: torchvision's operations, magnitudes and two rounds.

torchvision draws and applies in one call, for one picture, from the global generator. Here the draws come first, from
seed and step; then pictures with the same draw go through the operation together, on their device.

Legend: B pictures, K of them with one draw, R rounds.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as operations

from dpk_core.data.rows import BatchRows
from dpk_core.randomness import derive

ROUNDS = 2
"""Operations that each picture goes through."""

GREATEST = 30
"""Magnitudes are whole numbers from 0 to this; torchvision's bins."""

Operation = Callable[[Tensor, float], Tensor]
"""Of pictures (B x C x H x W, uint8) and a strength in -1 … 1."""


def randaugment(pictures_BCHW: Tensor, magnitude: int, seed: int, step: int, rows: BatchRows) -> Tensor:
    """A batch of the same shape and type; what is moved in from outside is black."""
    generator = torch.Generator().manual_seed(derive(seed, "randaugment", step))
    which_BR = torch.randint(len(OPERATIONS), (rows.total, ROUNDS), generator=generator)[rows.places_B]
    minus_BR = torch.rand((rows.total, ROUNDS), generator=generator)[rows.places_B] < 0.5
    changed_BCHW = pictures_BCHW.clone()
    for which_B, minus_B in zip(which_BR.unbind(1), minus_BR.unbind(1), strict=True):
        for number, (operation, signed) in enumerate(OPERATIONS.values()):
            for negative in (False, True) if signed else (False,):
                drawn_B = (which_B == number) & (minus_B == negative) if signed else which_B == number
                chosen_K = drawn_B.nonzero()[:, 0].to(pictures_BCHW.device)
                if len(chosen_K):
                    strength = magnitude / GREATEST * (-1 if negative else 1)
                    changed_BCHW[chosen_K] = operation(changed_BCHW[chosen_K], strength)
    return changed_BCHW


def _shear(x: float, y: float) -> Operation:
    """By up to 0.3 pixels a pixel, from the upper left corner."""

    def sheared(pictures_BCHW: Tensor, strength: float) -> Tensor:
        angles = [math.degrees(math.atan(0.3 * strength * axis)) for axis in (x, y)]
        return _affine(pictures_BCHW, shear=angles, center=[0, 0])

    return sheared


def _shift(x: float, y: float) -> Operation:
    """By up to 150/331 of the side."""

    def shifted(pictures_BCHW: Tensor, strength: float) -> Tensor:
        height, width = pictures_BCHW.shape[-2:]
        offset = [int(150 / 331 * strength * side) for side in (x * width, y * height)]
        return _affine(pictures_BCHW, translate=offset)

    return shifted


def _affine(pictures_BCHW: Tensor, **changes: object) -> Tensor:
    still: dict[str, object] = {"angle": 0.0, "translate": [0, 0], "scale": 1.0, "shear": [0.0, 0.0]}
    moved: Tensor = operations.affine(pictures_BCHW, **still | changes)
    return moved


OPERATIONS: dict[str, tuple[Operation, bool]] = {
    "Identity": (lambda x, _: x, False),
    "ShearX": (_shear(1, 0), True),
    "ShearY": (_shear(0, 1), True),
    "TranslateX": (_shift(1, 0), True),
    "TranslateY": (_shift(0, 1), True),
    "Rotate": (lambda x, strength: operations.rotate(x, 30 * strength), True),
    "Brightness": (lambda x, strength: operations.adjust_brightness(x, 1 + 0.9 * strength), True),
    "Color": (lambda x, strength: operations.adjust_saturation(x, 1 + 0.9 * strength), True),
    "Contrast": (lambda x, strength: operations.adjust_contrast(x, 1 + 0.9 * strength), True),
    "Sharpness": (lambda x, strength: operations.adjust_sharpness(x, 1 + 0.9 * strength), True),
    "Posterize": (lambda x, strength: operations.posterize(x, 8 - round(4 * strength)), False),
    "Solarize": (lambda x, strength: operations.solarize(x, 255 * (1 - strength)), False),
    "AutoContrast": (lambda x, _: operations.autocontrast(x), False),
    "Equalize": (lambda x, _: operations.equalize(x), False),
}
"""What a picture may go through, and whether it goes either way."""
