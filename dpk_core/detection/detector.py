"""Running a detector: its losses on a batch with boxes, and what it finds. Shapes: B pictures, C channels, H x W."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN

from dpk_core.data.boxes import BoxTargets, from_canvas
from dpk_core.detection.detections import Detections, joined, no_detections
from dpk_core.detection_settings import Canvas


def detector_losses(model: nn.Module, pictures_BCHW: Tensor, targets: BoxTargets) -> dict[str, Tensor]:
    """The detector's own losses by name; their sum is what is trained on. `pictures_BCHW`: normalised.

    Crowds are not trained on. Faster R-CNN draws the regions it trains on from the global generator.
    """
    first = first_class(model)
    trained_BM = targets.present_BM & ~targets.crowd_BM
    given = [
        {"boxes": targets.boxes_BM4[picture][here_M], "labels": targets.labels_BM[picture][here_M] + first}
        for picture, here_M in enumerate(trained_BM)
    ]
    losses: dict[str, Tensor] = model(pictures_BCHW, given)
    return losses


def detect(
    model: nn.Module, pictures_BCHW: Tensor, first_picture: int, sizes_B2: Sequence[tuple[int, int]]
) -> Detections:
    """What a detector in evaluation mode finds, in each picture's own pixels.

    `first_picture`: position of the first one in its split; `sizes_B2`: height and width of each.
    """
    height, width = pictures_BCHW.shape[-2:]
    canvas = Canvas(height=height, width=width)
    with torch.no_grad():
        found = model(pictures_BCHW)
    parts = [no_detections()]
    for place, each in enumerate(found):
        boxes_D4 = each["boxes"].double().cpu().numpy()
        labels_D = each["labels"].cpu().numpy() - first_class(model)
        parts.append(
            Detections(
                pictures_D=labels_D * 0 + first_picture + place,
                boxes_D4=from_canvas(boxes_D4, *sizes_B2[place], canvas),
                classes_D=labels_D,
                scores_D=each["scores"].double().cpu().numpy(),
            )
        )
    return joined(parts)


def first_class(model: nn.Module) -> int:
    """The detector's number of class 0: Faster R-CNN's own class 0 is the background."""
    return 1 if isinstance(model, FasterRCNN) else 0
