"""Parameters of a detector, counted from its settings without building it."""

from __future__ import annotations

import math

from dpk_core.catalogue.detection.detectors import LAST_STAGES, kind_and_backbone
from dpk_core.catalogue.parameters import model_parameters
from dpk_core.detection_settings import DetectorSettings, Kind

_STATISTICS = ("running_mean", "running_var")


def detector_parameters(name: str, settings: DetectorSettings, classes: int) -> int:
    """Parameters without buffers. Raises InvalidRequest on `model` for an unknown detector."""
    kind, backbone = kind_and_backbone(name, "model")
    return _body(backbone, settings.levels[-1]) + _neck(backbone, settings) + _heads(kind, settings, classes)


def _body(backbone: str, last_level: int) -> int:
    """Of the backbone up to the last level's map; what comes after it is left out."""
    last = LAST_STAGES[backbone][last_level][0]
    return sum(
        math.prod(each.shape)
        for key, each in model_parameters(f"torchvision/{backbone}").items()
        if each.floating and not key.endswith(_STATISTICS) and _is_up_to(key, last)
    )


def _is_up_to(key: str, last: str) -> bool:
    top, _, rest = key.partition(".")
    if last.isdecimal():
        return top == "features" and int(rest.partition(".")[0]) <= int(last)
    return top != "fc" and (not top.startswith("layer") or top <= last)


def _neck(backbone: str, settings: DetectorSettings) -> int:
    width, norm = settings.channels, settings.pyramid_norm
    after = 2 * width if norm else width  # scale and shift of a norm, or a bias
    channels = (LAST_STAGES[backbone][level][1] for level in settings.levels)
    levels = sum(inner * width + after + 9 * width * width + after for inner in channels)
    return levels + (0 if settings.pooled else 2 * _convolution(width, width, 3))


def _heads(kind: Kind, settings: DetectorSettings, classes: int) -> int:
    width, anchors = settings.channels, settings.octaves * len(settings.ratios)
    if kind == "retinanet":
        towers = 2 * 4 * _convolution(width, width, 3)
        return towers + _convolution(width, anchors * classes, 3) + _convolution(width, 4 * anchors, 3)
    proposals = _convolution(width, width, 3) + _convolution(width, anchors, 1) + _convolution(width, 4 * anchors, 1)
    features, outputs = settings.region_width, classes + 1
    first = _convolution(width * settings.region_side**2, features, 1)
    return proposals + first + _convolution(features, features, 1) + _convolution(features, 5 * outputs, 1)


def _convolution(given: int, out: int, side: int) -> int:
    """With its bias; a linear layer is one of side 1."""
    return given * out * side * side + out
