"""Every choice of a detector and its training that can be switched, as stored with a run.

| setting | small | Faster R-CNN on COCO | RetinaNet on COCO |
|---|---|---|---|
| levels | P3 … P5 and a pooled one | P2 … P5 and a pooled one | P3 … P5, P6, P7 |
| channels of a level | 64 | 256 | 256 |
| norm in the pyramid | batch norm | none | none |
| anchors at the finest level | 12 px, 2 octaves | 32 px, 1 octave | 32 px, 3 octaves |
| ratios of anchors | 1 | .5, 1, 2 | .5, 1, 2 |
| proposals in training | 100 | 2000 | – |
| regions a picture in training | 64 | 512 | – |
| map of a region, width of its layers | 5 × 5, 256 | 7 × 7, 1024 | – |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from dpk_core.dpk_settings import CIFAR_SHARE, ShareSettings
from dpk_core.preprocessing import MOST_SIDE

Kind = Literal["fasterrcnn", "retinanet"]
LevelName = Literal["P2", "P3", "P4", "P5"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Canvas:
    """Height and width in pixels of what a detector sees. Every picture is fitted into it, see `data.boxes`."""

    height: int
    width: int

    def __post_init__(self) -> None:
        if min(self.height, self.width) < 1:
            raise ValueError(f"height and width of a canvas are at least 1 px, not {self.height} x {self.width}")
        if max(self.height, self.width) > MOST_SIDE:
            raise ValueError(f"a canvas has at most {MOST_SIDE} px each way, not {self.height} x {self.width}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorSettings:
    """`levels`: of the pyramid; level n has a cell for 2ⁿ pixels each way. `pooled`: one coarser level, pooled from
    the last; else two, by strided convolutions.

    `anchor`: side in pixels of the smallest anchor at the finest level, doubling with each level. `octaves`: sizes
    between one level's and the next. `ratios`: height over width. The rest is Faster R-CNN's: `proposals` kept in
    training and in evaluation, `regions` of a picture in training, `region_side`: cells of a region's map each way,
    `region_width`: features of the two layers after it.
    """

    levels: tuple[int, ...] = (3, 4, 5)
    pooled: bool = True
    channels: int = 64
    pyramid_norm: bool = True
    anchor: float = 12.0
    octaves: int = 2
    ratios: tuple[float, ...] = (1.0,)
    proposals: int = 100
    regions: int = 64
    region_side: int = 5
    region_width: int = 256

    def __post_init__(self) -> None:
        if not self.levels or self.levels != tuple(range(self.levels[0], self.levels[-1] + 1)):
            raise ValueError("levels are consecutive, like 3, 4, 5")
        if self.levels[0] < 2 or self.levels[-1] > 5:
            raise ValueError("levels are 2 … 5: backbones have maps with strides 4 … 32")
        if min(self.channels, self.octaves, self.proposals, self.regions, self.region_side, self.region_width) < 1:
            raise ValueError("channels, octaves, proposals, regions, region_side and region_width are at least 1")
        if max(self.channels, self.region_width) > 8192 or max(self.proposals, self.regions) > 10_000:
            raise ValueError("channels and region_width are at most 8192, proposals and regions 10000")
        if max(self.octaves, self.region_side, len(self.ratios)) > 32:
            raise ValueError("octaves, region_side and the number of ratios are at most 32")
        if self.anchor <= 0 or not self.ratios or min(self.ratios) <= 0:
            raise ValueError("anchor and ratios are above 0, and there is at least one ratio")


SMALL = DetectorSettings()

COCO: dict[Kind, DetectorSettings] = {
    "fasterrcnn": DetectorSettings(
        levels=(2, 3, 4, 5), channels=256, pyramid_norm=False, anchor=32.0, octaves=1, ratios=(0.5, 1.0, 2.0),
        proposals=2000, regions=512, region_side=7, region_width=1024,
    ),
    "retinanet": replace(
        SMALL, pooled=False, channels=256, pyramid_norm=False, anchor=32.0, octaves=3, ratios=(0.5, 1.0, 2.0)
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxAugmentation:
    """`flip`, `upright_flip`: part of the pictures whose left and right, or top and bottom, change places. `zoom`: each
    picture is enlarged by 1 … `zoom`, at a random place. `colour`: brightness, contrast and saturation are each
    multiplied by 1 ± `colour` at most."""

    flip: float = 0.5
    upright_flip: float = 0.0
    zoom: float = 1.3
    colour: float = 0.1

    def __post_init__(self) -> None:
        if not (0 <= self.flip <= 1 and 0 <= self.upright_flip <= 1):
            raise ValueError("flip and upright_flip are parts of the pictures, 0 … 1")
        if not 1 <= self.zoom <= 16:
            raise ValueError("zoom is 1 … 16")
        if not 0 <= self.colour < 1:
            raise ValueError("colour is 0 … 1, 1 excluded")


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionSettings:
    """What a recipe of detection says beside its optimiser: one canvas for student and teachers, and how detectors of
    each kind are built."""

    canvas: Canvas = Canvas(height=160, width=192)
    fasterrcnn: DetectorSettings = SMALL
    retinanet: DetectorSettings = SMALL
    augmentation: BoxAugmentation = BoxAugmentation()

    def of(self, kind: Kind) -> DetectorSettings:
        """How detectors of this kind are built."""
        return self.fasterrcnn if kind == "fasterrcnn" else self.retinanet

    def built(self, kind: Kind, settings: DetectorSettings) -> DetectionSettings:
        """The same where detectors of this kind are built so."""
        return replace(self, fasterrcnn=settings) if kind == "fasterrcnn" else replace(self, retinanet=settings)


@dataclass(frozen=True, slots=True, kw_only=True)
class PyramidSettings:
    """How a detector learns from the levels of its teacher's pyramid: `L = own losses + β · Σ MSEᵢ`.

    | setting | symbol | meaning |
    |---|---|---|
    | `feature_weight` | β | weight of the sum over levels; measure what it pulls (`gradient.features`) |
    | `prior` | | levels that go through DPK; the authors': the coarser ones |
    | `plain` | | levels that the student's map, through a 1×1 convolution, is drawn to directly; None: all others |
    | `share` | π | of tokens that the teacher hands over at a level of `prior` |
    | `cka_steps` | | batches that CKA is taken over; a single one of 4 pictures is mostly noise |

    Feature MSE draws all of these levels directly; FGD compares them with weights of its own, times β. The authors' β,
    share and clamps for detection are not handed down; these are those of CIFAR-100 and β = 1.
    """

    feature_weight: float = 1.0
    prior: tuple[LevelName, ...] = ("P4", "P5")
    plain: tuple[LevelName, ...] | None = None
    share: ShareSettings = CIFAR_SHARE
    cka_steps: int = 32

    def __post_init__(self) -> None:
        if self.feature_weight < 0:
            raise ValueError(f"feature_weight must not be negative, not {self.feature_weight}")
        if self.cka_steps < 1:
            raise ValueError(f"cka_steps must be at least 1, not {self.cka_steps}")
        named = (*self.prior, *(self.plain or ()))
        if not named or len(set(named)) != len(named):
            raise ValueError(f"prior and plain must name one or more different levels, not {list(named)}")
        if self.share.lag:
            raise ValueError("share of a pyramid takes no lag: its CKA is of many steps already")

    def plain_of(self, common: Sequence[LevelName]) -> tuple[LevelName, ...]:
        """The plain levels, of those that both detectors have."""
        return tuple(level for level in common if level not in self.prior) if self.plain is None else self.plain
