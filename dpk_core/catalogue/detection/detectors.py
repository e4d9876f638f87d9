"""Detectors by name, `detection/<kind>_<backbone>`, and what they are built from. No torch.

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

from dataclasses import dataclass, replace
from typing import Literal

from dpk_core.catalogue.detection.canvas import Canvas
from dpk_core.errors import InvalidRequest
from dpk_core.nearest import nearest

FAMILY = "detection"

Kind = Literal["fasterrcnn", "retinanet"]

KINDS: tuple[Kind, ...] = ("fasterrcnn", "retinanet")

BACKBONES = (
    "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "mobilenet_v3_small", "mobilenet_v3_large",
)  # fmt: skip
"""torchvision's names, which are also those of their weights as classifiers."""

DETECTORS = tuple(f"{FAMILY}/{kind}_{backbone}" for kind in KINDS for backbone in BACKBONES)


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


def kind_and_backbone(name: str, field: str) -> tuple[Kind, str]:
    """The parts of a detector's name. Raises InvalidRequest on `field`, with the nearest, for an unknown one."""
    for kind in KINDS:
        backbone = name.removeprefix(f"{FAMILY}/{kind}_")
        if name in DETECTORS and backbone != name:
            return kind, backbone
    near = nearest(name, DETECTORS) or DETECTORS[0]
    raise InvalidRequest(field, f"There is no detector {name}.", near)


def level_modules(settings: DetectorSettings) -> tuple[str, ...]:
    """The modules that give the maps of the pyramid's levels, the finest first."""
    return tuple(f"backbone.fpn.layer_blocks.{place}" for place in range(len(settings.levels)))


def check_canvas(canvas: Canvas, settings: DetectorSettings, field: str) -> None:
    """Raises InvalidRequest where a level would not cover the canvas in whole cells: torchvision would pad silently."""
    step = 2 ** settings.levels[-1]
    if canvas.height % step or canvas.width % step or min(canvas.height, canvas.width) < step:
        near = (max(step, round(side / step) * step) for side in (canvas.height, canvas.width))
        raise InvalidRequest(
            field, f"A canvas of {canvas.height} x {canvas.width} px has no whole cells of {step} px (level "
            f"P{settings.levels[-1]}).", " x ".join(map(str, near)),
        )  # fmt: skip
