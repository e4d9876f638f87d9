"""Names and shapes of a detector's parameters and buffers, from its settings. No torch."""

from __future__ import annotations

import math
from collections.abc import Iterator

from dpk_core.catalogue.detection.detectors import LAST_STAGES, kind_and_backbone
from dpk_core.catalogue.parameters import Parameter, Parameters, model_parameters
from dpk_core.detection_settings import DetectorSettings, Kind

CLASS_SCORES: dict[Kind, str] = {
    "fasterrcnn": "roi_heads.box_predictor.cls_score", "retinanet": "head.classification_head.cls_logits",
}  # fmt: skip
"""The layer that scores classes. RetinaNet's has all for each anchor, Faster R-CNN's a background before them."""

TOWER = 4
"""Convolutions of each of RetinaNet's heads before its last."""


def detector_parameters(kind: Kind, backbone: str, settings: DetectorSettings, classes: int) -> Parameters:
    """Everything that weights of the whole detector hold."""
    neck = dict(_neck(backbone, settings))
    heads = dict(_faster_rcnn(settings, classes) if kind == "fasterrcnn" else _retinanet(settings, classes))
    return {**body_parameters(backbone, settings.levels[-1]), **neck, **heads}


def body_parameters(backbone: str, last_level: int = 5) -> Parameters:
    """Those of the backbone up to a level's map, by the detector's names."""
    last = LAST_STAGES[backbone][last_level][0]
    return {
        f"backbone.body.{name.removeprefix('features.')}": each
        for name, each in model_parameters(f"torchvision/{backbone}").items()
        if _is_up_to(name, last)
    }


def parameter_count(name: str, settings: DetectorSettings, classes: int) -> int:
    """Parameters without buffers. Raises InvalidRequest on `model` for an unknown detector."""
    parameters = detector_parameters(*kind_and_backbone(name, "model"), settings, classes)
    return sum(
        math.prod(each.shape)
        for key, each in parameters.items()
        if each.floating and not key.endswith(("running_mean", "running_var"))
    )


def anchors_of_a_cell(settings: DetectorSettings) -> int:
    """How many anchors lie around each cell of a level."""
    return settings.octaves * len(settings.ratios)


def class_count(kind: Kind, settings: DetectorSettings, tensors: Parameters) -> int:
    """Classes, without a background, that weights score."""
    rows = tensors[f"{CLASS_SCORES[kind]}.weight"].shape[0]
    return rows - 1 if kind == "fasterrcnn" else rows // anchors_of_a_cell(settings)


def _is_up_to(name: str, last: str) -> bool:
    top, _, rest = name.partition(".")
    if last.isdecimal():
        return top == "features" and int(rest.partition(".")[0]) <= int(last)
    return top != "fc" and (not top.startswith("layer") or top <= last)


def _neck(backbone: str, settings: DetectorSettings) -> Iterator[tuple[str, Parameter]]:
    width = settings.channels
    for place, level in enumerate(settings.levels):
        for block, given, side in (("inner", LAST_STAGES[backbone][level][1], 1), ("layer", width, 3)):
            name = f"backbone.fpn.{block}_blocks.{place}"
            if settings.pyramid_norm:
                yield f"{name}.0.weight", Parameter((width, given, side, side))
                for part in ("weight", "bias", "running_mean", "running_var"):
                    yield f"{name}.1.{part}", Parameter((width,))
                yield f"{name}.1.num_batches_tracked", Parameter((), floating=False)
            else:
                yield from _layer(f"{name}.0", width, given, side)
    if not settings.pooled:
        for extra in ("p6", "p7"):
            yield from _layer(f"backbone.fpn.extra_blocks.{extra}", width, width, 3)


def _faster_rcnn(settings: DetectorSettings, classes: int) -> Iterator[tuple[str, Parameter]]:
    width, features, anchors = settings.channels, settings.region_width, anchors_of_a_cell(settings)
    yield from _layer("rpn.head.conv.0.0", width, width, 3)
    yield from _layer("rpn.head.cls_logits", anchors, width, 1)
    yield from _layer("rpn.head.bbox_pred", 4 * anchors, width, 1)
    yield from _layer("roi_heads.box_head.fc6", features, width * settings.region_side**2)
    yield from _layer("roi_heads.box_head.fc7", features, features)
    yield from _layer(CLASS_SCORES["fasterrcnn"], classes + 1, features)
    yield from _layer("roi_heads.box_predictor.bbox_pred", 4 * (classes + 1), features)


def _retinanet(settings: DetectorSettings, classes: int) -> Iterator[tuple[str, Parameter]]:
    width, anchors = settings.channels, anchors_of_a_cell(settings)
    for head in ("classification_head", "regression_head"):
        for place in range(TOWER):
            yield from _layer(f"head.{head}.conv.{place}.0", width, width, 3)
    yield from _layer(CLASS_SCORES["retinanet"], anchors * classes, width, 3)
    yield from _layer("head.regression_head.bbox_reg", 4 * anchors, width, 3)


def _layer(name: str, out: int, given: int, side: int | None = None) -> Iterator[tuple[str, Parameter]]:
    """A convolution with its bias, or a linear layer."""
    yield f"{name}.weight", Parameter((out, given) if side is None else (out, given, side, side))
    yield f"{name}.bias", Parameter((out,))
