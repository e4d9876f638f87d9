"""The parts of a detector that are networks, with tensors as inputs and outputs: what other formats can express.

torchvision's detectors choose boxes between and after them, with shapes that depend on the picture, which no exporter
follows for both kinds (pytorch/vision#9306, #9462). `dpk_core.exported.detect` does that in numpy.

Shapes: B pictures, C channels, H x W; R regions of S x S cells.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN

from dpk_core.detection.models import settings_of


class Trunk(nn.Module):
    """Backbone, pyramid and the head that looks at every place. Of each level, the finest first:

    | kind | outputs |
    |---|---|
    | Faster R-CNN | its map, without the pooled level; then scores of objects; then steps to their boxes |
    | RetinaNet | scores of classes by anchor; then steps to their boxes |
    """

    def __init__(self, detector: nn.Module) -> None:
        super().__init__()
        self.settings = settings_of(detector)
        self.backbone: Any = detector.backbone
        self.head: Any = detector.rpn.head if isinstance(detector, FasterRCNN) else detector.head
        self.has_regions = isinstance(detector, FasterRCNN)

    @property
    def outputs(self) -> list[str]:
        """Their names, in order."""
        levels = [*self.settings.levels]
        extra = 1 if self.settings.pooled else 2
        whole = [f"P{level}" for level in [*levels, *range(levels[-1] + 1, levels[-1] + 1 + extra)]]
        maps = [f"P{level}" for level in levels] if self.has_regions else []
        scores = "objects" if self.has_regions else "classes"
        return [*maps, *(f"{scores}_{level}" for level in whole), *(f"steps_{level}" for level in whole)]

    def forward(self, pictures_BCHW: Tensor) -> tuple[Tensor, ...]:
        """See the class."""
        maps = list(self.backbone(pictures_BCHW).values())
        if self.has_regions:
            objects, steps = self.head(maps)
            return (*maps[: len(self.settings.levels)], *objects, *steps)
        by_level = [self.head([each]) for each in maps]
        return (*(each["cls_logits"] for each in by_level), *(each["bbox_regression"] for each in by_level))


class Regions(nn.Module):
    """What Faster R-CNN makes of the map of each region: scores of the background and all classes; steps to boxes."""

    outputs = ("classes", "steps")

    def __init__(self, detector: nn.Module) -> None:
        super().__init__()
        heads: Any = detector.roi_heads
        self.head, self.predictor = heads.box_head, heads.box_predictor

    def forward(self, regions_RCSS: Tensor) -> tuple[Tensor, Tensor]:
        """R x (1 + classes), R x 4·(1 + classes)."""
        classes, steps = self.predictor(self.head(regions_RCSS))
        return classes, steps
