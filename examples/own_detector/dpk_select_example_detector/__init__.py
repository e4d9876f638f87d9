"""torchvision's FCOS, which has no anchors, as a teacher for the detectors of DPK Select.

A detector of any family can be brought in this way: what it needs are maps of a pyramid, losses and boxes. Its own code
draws its first weights, with torch's random state set from the seed, or loads some.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torchvision.models import resnet18
from torchvision.models.detection import FCOS
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.image_list import ImageList
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

LEVELS = (3, 4, 5)
"""Level n has a cell for 2ⁿ pixels each way."""
CHANNELS = 64


class OnCanvas(nn.Module):
    """In place of FCOS's own resizing and normalising: pictures come normalised, and lie on the job's canvas."""

    def forward(self, pictures: Tensor, targets: Any = None) -> tuple[ImageList, Any]:
        """As FCOS calls it."""
        height, width = pictures.shape[-2:]
        return ImageList(pictures, [(height, width)] * len(pictures)), targets

    def postprocess(self, found: list[dict[str, Tensor]], *_: object) -> list[dict[str, Tensor]]:
        """Boxes stay in pixels of the canvas."""
        return found


class Fcos(nn.Module):
    """FCOS on the pyramid of a ResNet-18."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        body = resnet18(weights=None)
        maps = {f"layer{level - 1}": f"P{level}" for level in LEVELS}
        backbone = BackboneWithFPN(body, maps, [128, 256, 512], CHANNELS, LastLevelMaxPool(), nn.BatchNorm2d)
        sizes = tuple((2.0**level,) for level in (*LEVELS, LEVELS[-1] + 1))
        self.detector = FCOS(backbone, classes, anchor_generator=AnchorGenerator(sizes, ((1.0,),) * len(sizes)))
        self.detector.transform = OnCanvas()

    def maps(self, pictures: Tensor) -> dict[str, Tensor]:
        """What students learn from: by level, B x channels x height/2ⁿ x width/2ⁿ."""
        found: dict[str, Tensor] = self.detector.backbone(pictures)
        return {f"P{level}": found[f"P{level}"] for level in LEVELS}

    def forward(self, pictures: Tensor, targets: list[dict[str, Tensor]] | None = None) -> Any:
        """In training losses by name, else for each picture its boxes, labels and scores."""
        return self.detector(pictures, targets)


def fcos_resnet18(*, classes: int, channels: int, height: int, width: int) -> nn.Module:  # noqa: ARG001  (every plug-in is given them)
    """What the entry point names. `height`, `width`: of the canvas in pixels, which this network need not know."""
    return Fcos(classes)
