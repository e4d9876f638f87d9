"""What libraries publish for a model, by tag; of detectors the weights of their backbones too. Without numpy, as
clients read names of weights."""

from __future__ import annotations

from dataclasses import replace

from dpk_core.catalogue.detection.coco_classes import COCO_CLASSES
from dpk_core.catalogue.detection.detectors import is_detector, kind_and_backbone
from dpk_core.catalogue.parameters import Published, library, weights_card
from dpk_core.preprocessing import IMAGENET_MEAN, IMAGENET_STD, ModelPreprocessing

COCO_TAG = "COCO_V1"
AS_COCO = ModelPreprocessing(mean=IMAGENET_MEAN, std=IMAGENET_STD)
"""How torchvision's detectors were trained to see pictures, but for their size."""

_COCO_FILES = {
    "detection/fasterrcnn_resnet50": "fasterrcnn_resnet50_fpn_coco-258fb6c6.pth",
    "detection/retinanet_resnet50": "retinanet_resnet50_fpn_coco-eeacb38b.pth",
}


def published_tags(model: str, field: str) -> dict[str, Published]:
    """What is published for a model, by tag, the default first."""
    if is_detector(model):
        return {tag: each for tag, (_, each) in published_for(model, field).items()}
    return weights_card(model, field).published


def published_for(model: str, field: str) -> dict[str, tuple[str, Published]]:
    """By tag the library's model and what it publishes for a detector: its backbone's weights, the library's default
    first, and those of the whole detector."""
    _, backbone = kind_and_backbone(model, field)
    families = ("torchvision", "timm") if backbone.startswith("resnet") else ("torchvision",)
    found: dict[str, tuple[str, Published]] = {}
    for family in families:
        name = f"{family}/{backbone}"
        for tag, each in weights_card(name, field).published.items():
            found.setdefault(tag, (name, replace(each, classes=0, side=None, preprocessing=None)))
    if model in _COCO_FILES:
        whole = Published(name=_COCO_FILES[model], classes=len(coco_classes(model)), preprocessing=AS_COCO)
        found[COCO_TAG] = (f"torchvision/{backbone}", whole)
    return found


def published_library(model: str, tag: str, field: str) -> str:
    """The library that publishes these weights, with its version."""
    return library(published_for(model, field)[tag][0])


def coco_classes(model: str) -> tuple[str, ...]:
    """The classes of torchvision's weights on COCO in the order of their scores; RetinaNet scores the background too,
    which it was never shown."""
    return COCO_CLASSES if kind_and_backbone(model, "model")[0] == "fasterrcnn" else ("__background__", *COCO_CLASSES)
