"""RandAugment (Cubuk et al., 1909.13719) for whole batches: torchvision's operations, magnitudes and two rounds.

torchvision draws and applies in one call, for one picture, from the global generator. Here the draws come first, from
seed and step; then pictures with the same draw go through the operation together, on their device. Operations for
which torchvision copies constants to the device, which makes the host wait, are written out here.

Legend: B pictures, C channels, K pictures with one draw, R rounds.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms.v2 import functional as operations

from dpk_core.data.rows import BatchRows
from dpk_core.data.to_device import to_device
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
    signed = torch.tensor([signed for _, signed in OPERATIONS.values()])
    changed_BCHW, order_B = pictures_BCHW, torch.arange(len(pictures_BCHW))
    for which_B, minus_B in zip(which_BR.unbind(1), minus_BR.unbind(1), strict=True):
        draw_B = 2 * which_B + (minus_B & signed[which_B])
        # Those with one draw lie side by side: a slice costs a GPU nothing, fetching each group would cost launches.
        sorted_B = draw_B.argsort(stable=True)
        changed_BCHW = _rearranged(changed_BCHW, order_B.argsort()[sorted_B])
        groups = torch.split(changed_BCHW, draw_B.bincount(minlength=2 * len(OPERATIONS)).tolist())
        changed_BCHW = torch.cat([_operated(group, draw, magnitude) for draw, group in enumerate(groups)])
        order_B = sorted_B
    return _rearranged(changed_BCHW, order_B.argsort())


def _operated(pictures_KCHW: Tensor, draw: int, magnitude: int) -> Tensor:
    """Pictures of one draw, twice the operation's number, one more where it goes the other way."""
    if not len(pictures_KCHW):
        return pictures_KCHW
    operation, _ = tuple(OPERATIONS.values())[draw // 2]
    return operation(pictures_KCHW, magnitude / GREATEST * (-1 if draw % 2 else 1))


def _rearranged(pictures_BCHW: Tensor, order_B: Tensor) -> Tensor:
    return pictures_BCHW.index_select(0, to_device(order_B, pictures_BCHW.device))


def _shear(x: float, y: float) -> Operation:
    """By up to 0.3 pixels a pixel, from the upper left corner."""

    def sheared(pictures_BCHW: Tensor, strength: float) -> Tensor:
        height, width = pictures_BCHW.shape[-2:]
        shear = [math.radians(math.degrees(math.atan(0.3 * strength * axis))) for axis in (x, y)]
        return _affine(pictures_BCHW, shear=(shear[0], shear[1]), centre=(-width * 0.5, -height * 0.5))

    return sheared


def _shift(x: float, y: float) -> Operation:
    """By up to 150/331 of the side."""

    def shifted(pictures_BCHW: Tensor, strength: float) -> Tensor:
        height, width = pictures_BCHW.shape[-2:]
        offset = [int(150 / 331 * strength * side) for side in (x * width, y * height)]
        return _affine(pictures_BCHW, offset=(offset[0], offset[1]))

    return shifted


def _rotate(pictures_BCHW: Tensor, strength: float) -> Tensor:
    """By up to 30 degrees."""
    if strength == 0:
        return pictures_BCHW.clone()
    return _affine(pictures_BCHW, angle=math.radians(-(30 * strength % 360)))


def _affine(
    pictures_BCHW: Tensor,
    angle: float = 0.0,
    shear: tuple[float, float] = (0.0, 0.0),
    offset: tuple[float, float] = (0.0, 0.0),
    centre: tuple[float, float] = (0.0, 0.0),
) -> Tensor:
    """torchvision's `affine`, nearest pixel. Angles in radians; `centre` in pixels from the picture's middle."""
    height, width = pictures_BCHW.shape[-2:]
    # Where the pixel at x, y comes from: the inverse of turning and shearing about the centre, then moving.
    (shear_x, shear_y), (centre_x, centre_y) = shear, centre
    a = math.cos(angle - shear_y) / math.cos(shear_y)
    b = -(a * math.tan(shear_x) + math.sin(angle))
    c = math.sin(angle - shear_y) / math.cos(shear_y)
    d = math.cos(angle) - c * math.tan(shear_x)
    moved_x, moved_y = centre_x + offset[0], centre_y + offset[1]
    inverse = torch.tensor([
        [d, -b, centre_x - d * moved_x + b * moved_y],
        [-c, a, centre_y + c * moved_x - a * moved_y],
    ])  # fmt: skip
    # grid_sample counts from -1 to 1 over each side.
    scaled = to_device(inverse.T / torch.tensor([0.5 * width, 0.5 * height]), pictures_BCHW.device)
    grid_HW3 = torch.ones(height, width, 3, device=pictures_BCHW.device)
    grid_HW3[..., 0] = _centred(width, pictures_BCHW.device)
    grid_HW3[..., 1] = _centred(height, pictures_BCHW.device)[:, None]
    grid_HW2 = (grid_HW3.view(1, -1, 3) @ scaled[None]).view(height, width, 2)
    grid_BHW2 = grid_HW2.expand(len(pictures_BCHW), -1, -1, -1)
    cut_BCHW = F.grid_sample(pictures_BCHW.float(), grid_BHW2, mode="nearest", align_corners=False)
    return cut_BCHW.round().to(pictures_BCHW.dtype)


def _centred(side: int, device: torch.device) -> Tensor:
    """Pixel positions along a side, from its middle."""
    return torch.linspace((1 - side) * 0.5, (side - 1) * 0.5, steps=side, device=device)


def _sharpen(pictures_BCHW: Tensor, strength: float) -> Tensor:
    """torchvision's `adjust_sharpness`: away from, or towards, means over 3 x 3 pixels of which the middle one counts
    five times. Borders stay."""
    height, width = pictures_BCHW.shape[-2:]
    if height <= 2 or width <= 2:
        return pictures_BCHW
    kernel_33 = torch.full((3, 3), 1 / 13, device=pictures_BCHW.device)
    kernel_33[1, 1] = 5 / 13
    channels = pictures_BCHW.shape[1]
    changed_BCHW = pictures_BCHW.float()
    smooth = F.conv2d(changed_BCHW, kernel_33.expand(channels, 1, 3, 3), groups=channels).round_()
    inner = changed_BCHW[..., 1:-1, 1:-1]
    inner.add_(smooth.sub_(inner), alpha=1 - (1 + 0.9 * strength))
    return changed_BCHW.clamp_(0, 255).to(pictures_BCHW.dtype)


OPERATIONS: dict[str, tuple[Operation, bool]] = {
    "Identity": (lambda x, _: x, False),
    "ShearX": (_shear(1, 0), True),
    "ShearY": (_shear(0, 1), True),
    "TranslateX": (_shift(1, 0), True),
    "TranslateY": (_shift(0, 1), True),
    "Rotate": (_rotate, True),
    "Brightness": (lambda x, strength: operations.adjust_brightness(x, 1 + 0.9 * strength), True),
    "Color": (lambda x, strength: operations.adjust_saturation(x, 1 + 0.9 * strength), True),
    "Contrast": (lambda x, strength: operations.adjust_contrast(x, 1 + 0.9 * strength), True),
    "Sharpness": (_sharpen, True),
    "Posterize": (lambda x, strength: operations.posterize(x, 8 - round(4 * strength)), False),
    "Solarize": (lambda x, strength: operations.solarize(x, 255 * (1 - strength)), False),
    "AutoContrast": (lambda x, _: operations.autocontrast(x), False),
    "Equalize": (lambda x, _: operations.equalize(x), False),
}
"""What a picture may go through, and whether it goes either way."""
