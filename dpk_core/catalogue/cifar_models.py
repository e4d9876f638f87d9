"""Networks for small pictures, as data: their names and where their feature maps are."""

from __future__ import annotations

import re
from dataclasses import dataclass

CIFAR_RESNETS = (
    "resnet8w4", "resnet8w8", "resnet14w8", "resnet20w8",
    "resnet8", "resnet14", "resnet20", "resnet32", "resnet44", "resnet56", "resnet110", "resnet8x4", "resnet32x4",
)  # fmt: skip
"""`resnet<depth>`: widths 16/32/64; `…w<n>`: widths n/2n/4n; `…x4`: widths 64/128/256 behind a stem of 32."""

STAGE_MAPS: dict[str, tuple[tuple[int, int, int], ...]] = {
    # Of the two stages of one size the deeper counts, so the last two maps are 4x4 and 8x8 on CIFAR. Their 512 and 256
    # channels are the authors' decoder widths, as with every other pair (method sheet, section 6).
    "vgg8": ((0, 64, 1), (1, 128, 2), (2, 256, 4), (4, 512, 8)),
    "vgg13": ((0, 64, 1), (1, 128, 2), (2, 256, 4), (4, 512, 8)),
    "mobilenetv2": ((1, 12, 2), (2, 16, 4), (4, 48, 8), (6, 160, 16)),
    "shufflenetv1": ((0, 240, 2), (1, 480, 4), (2, 960, 8)),
    "shufflenetv2": ((0, 116, 2), (1, 232, 4), (2, 464, 8)),
    "plain2": ((0, 32, 1), (1, 32, 2)),
    "plain4": ((0, 32, 1), (1, 64, 2)),
    "plain6": ((0, 32, 1), (1, 64, 2), (2, 128, 4)),
    "plain8": ((0, 32, 1), (1, 64, 2), (2, 128, 4), (3, 256, 8)),
    "plain10": ((0, 32, 1), (1, 64, 2), (2, 128, 4), (3, 256, 8)),
}
"""Taps from shallow to deep of families whose stages end in an activation: stage, channels, stride."""

WIDE_RESNETS = {"wrn_16_2": 2, "wrn_40_1": 1, "wrn_40_2": 2}
"""Width factors of the wide residual networks. Their stages end in plain sums, which batch normalisation follows; the
taps are after that, as in the authors' code (`preact`; method sheet, section 11)."""

CIFAR_MODELS = (*CIFAR_RESNETS, *WIDE_RESNETS, *STAGE_MAPS)
"""Every network of the family, without the family."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CifarShape:
    """The closed form of a CIFAR ResNet: `blocks` basic blocks in each of three stages."""

    blocks: int
    stem: int
    widths: tuple[int, int, int]


def cifar_shape(family_member: str) -> CifarShape:
    """Depth and widths of a CIFAR ResNet named without its family, e.g. `resnet20` or `resnet8x4`."""
    match = re.fullmatch(r"resnet(\d+)(?:(x4)|w(\d+))?", family_member)
    assert match is not None, family_member
    depth, wide, width = int(match[1]), match[2], int(match[3] or 16)
    base = 64 if wide else width
    return CifarShape(blocks=(depth - 2) // 6, stem=32 if wide else width, widths=(base, 2 * base, 4 * base))


def tapped_maps(family_member: str) -> tuple[tuple[str, int, int], ...]:
    """Module, channels and stride of the taps of any member, from shallow to deep."""
    if (factor := WIDE_RESNETS.get(family_member)) is not None:
        norms = ("stages.1.0.norm1", "stages.2.0.norm1", "norm")
        return tuple((norm, 16 * factor * 2**index, 2**index) for index, norm in enumerate(norms))
    maps = STAGE_MAPS.get(family_member)
    if maps is None:
        maps = tuple((index, width, 2**index) for index, width in enumerate(cifar_shape(family_member).widths))
    return tuple((f"stages.{stage}", channels, stride) for stage, channels, stride in maps)
