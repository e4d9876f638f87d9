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
    "wrn_16_2": ((0, 32, 1), (1, 64, 2), (2, 128, 4)),
    "wrn_40_1": ((0, 16, 1), (1, 32, 2), (2, 64, 4)),
    "wrn_40_2": ((0, 32, 1), (1, 64, 2), (2, 128, 4)),
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
"""The other families' taps from shallow to deep: stage, channels, stride."""

CIFAR_MODELS = (*CIFAR_RESNETS, *STAGE_MAPS)
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


def stage_maps(family_member: str) -> tuple[tuple[int, int, int], ...]:
    """Stage, channels and stride of the taps of any member, from shallow to deep."""
    if family_member in STAGE_MAPS:
        return STAGE_MAPS[family_member]
    return tuple((index, width, 2**index) for index, width in enumerate(cifar_shape(family_member).widths))
