"""Sizes of DPK's modules by profile: `paper` the authors', `probe` ours, light enough for a CPU.

Every rule takes what a stage joins and gives a `StageSizes` whose patches tile the map.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from dpk_core.catalogue.patches import MOST_TOKENS, patch_side
from dpk_core.catalogue.tapping import STAGES
from dpk_core.distill.stage import StageSizes
from dpk_core.dpk_settings import StageName, StageSettings
from dpk_core.spec import ProfileName


@dataclass(frozen=True, slots=True, kw_only=True)
class StageShape:
    """What a stage joins: `stage` of STAGES, models by name, the teacher's channels and map size (height, width)."""

    stage: StageName
    student: str
    teacher: str
    teacher_channels: int
    side: tuple[int, int]


def stage_sizes(profile: ProfileName, shape: StageShape, settings: StageSettings | None = None) -> StageSizes:
    """The sizes of one stage's modules under `profile`, save those that `settings` names."""
    sizes = PROFILES[profile](shape)
    if settings is None:
        return sizes
    if (encoder := settings.encoder) is not None:
        sizes = replace(
            sizes, encoder_width=encoder.width, encoder_depth=encoder.depth, encoder_heads=encoder.heads
        )  # fmt: skip
    if (decoder := settings.decoder) is not None:
        sizes = replace(
            sizes, decoder_width=decoder.width, decoder_depth=decoder.depth, decoder_heads=decoder.heads
        )  # fmt: skip
    return sizes if settings.patch is None else replace(sizes, patch=settings.patch)


def _sizes(encoder: tuple[int, int, int], decoder: tuple[int, int, int]) -> StageSizes:
    """From (width, depth, heads) twice."""
    return StageSizes(
        encoder_width=encoder[0], encoder_depth=encoder[1], encoder_heads=encoder[2],
        decoder_width=decoder[0], decoder_depth=decoder[1], decoder_heads=decoder[2],
    )  # fmt: skip


# Method sheet, section 6: teacher and student, then last and second-last stage. All have p = 1.
_R34_R18 = (_sizes((512, 6, 8), (512, 4, 8)), _sizes((256, 6, 8), (256, 4, 8)))
_R152_R18 = (_sizes((640, 6, 8), (1024, 4, 8)), _sizes((640, 6, 8), (1024, 4, 8)))
PAPER_PAIRS: dict[tuple[str, str], tuple[StageSizes, StageSizes]] = {
    ("cifar/resnet56", "cifar/resnet20"): (_sizes((128, 6, 8), (80, 4, 8)), _sizes((64, 6, 8), (48, 6, 8))),
    ("cifar/resnet110", "cifar/resnet32"): (_sizes((128, 6, 8), (128, 4, 8)), _sizes((128, 6, 8), (64, 6, 8))),
    ("cifar/resnet32x4", "cifar/resnet8x4"): (_sizes((180, 6, 4), (256, 4, 8)), _sizes((160, 6, 4), (128, 4, 8))),
    ("cifar/wrn_40_2", "cifar/wrn_16_2"): (_sizes((256, 6, 8), (256, 4, 8)), _sizes((128, 6, 8), (128, 4, 8))),
    ("cifar/vgg13", "cifar/vgg8"): (_sizes((320, 6, 8), (512, 4, 8)), _sizes((160, 6, 8), (256, 6, 8))),
    ("cifar/resnet32x4", "cifar/shufflenetv1"): (_sizes((512, 6, 8), (256, 4, 8)), _sizes((256, 6, 8), (128, 4, 8))),
    ("torchvision/resnet34", "torchvision/resnet18"): _R34_R18,
    ("timm/resnet34", "timm/resnet18"): _R34_R18,
    ("torchvision/resnet152", "torchvision/resnet18"): _R152_R18,
    ("timm/resnet152", "timm/resnet18"): _R152_R18,
}  # fmt: skip
"""The pairs whose sizes the authors published; they used these two stages only."""


def _paper(shape: StageShape) -> StageSizes:
    """The authors' sizes; for a pair they did not list, what their tables come to: encoders twice as wide as the
    teacher's map is deep, at most 256, six blocks; decoder as wide, at most 512, four blocks; eight heads."""
    listed, index = PAPER_PAIRS.get((shape.teacher, shape.student), ()), STAGES.index(shape.stage)
    if index < len(listed):
        sizes = listed[index]
    else:
        width = _multiple(2 * shape.teacher_channels, of=16)
        sizes = _sizes((min(width, 256), 6, 8), (min(width, 512), 4, 8))
    return replace(sizes, patch=patch_side(shape.side, MOST_TOKENS["paper"]))


def _probe(shape: StageShape) -> StageSizes:
    """One block each, a quarter as wide as the teacher's map is deep but 32 … 128, two heads, at most 64 tokens.

    Few and wide heads and few tokens are the levers that the measurements named.
    """
    width = min(max(_multiple(shape.teacher_channels // 4, of=32), 32), 128)
    return replace(_sizes((width, 1, 2), (width, 1, 2)), patch=patch_side(shape.side, MOST_TOKENS["probe"]))


def _multiple(value: int, *, of: int) -> int:
    return math.ceil(value / of) * of


PROFILES: dict[ProfileName, Callable[[StageShape], StageSizes]] = {"paper": _paper, "probe": _probe}
"""The rule behind every profile."""
