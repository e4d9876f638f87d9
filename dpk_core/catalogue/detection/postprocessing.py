"""From the outputs of a detector's networks to boxes: the numbers that torchvision fixes, as an exported student's
`config.json` has them for `dpk_core.exported.detect`. No torch."""

from __future__ import annotations

from typing import Any

import numpy as np

from dpk_core.detection_settings import DetectorSettings, Kind

EVALUATED_PROPOSALS = 1000
"""Most proposals of Faster R-CNN in evaluation, where `proposals` allows more."""

DETECTIONS = 100
"""Most detections of a picture."""

_LEAST_SCORE, _OVERLAP = 0.05, 0.5
_FASTER_RCNN_BOXES, _PLAIN_BOXES = [10.0, 10.0, 5.0, 5.0], [1.0, 1.0, 1.0, 1.0]


def anchor_sizes(settings: DetectorSettings) -> tuple[tuple[float, ...], ...]:
    """Sides in pixels of the square anchors of each level, the coarser ones that are made of the last too."""
    levels = len(settings.levels) + (1 if settings.pooled else 2)
    return tuple(
        tuple(settings.anchor * 2 ** (level + octave / settings.octaves) for octave in range(settings.octaves))
        for level in range(levels)
    )


def cell_anchors(settings: DetectorSettings) -> list[list[list[float]]]:
    """Of each level the anchors around a cell's corner: left, top, right, bottom in whole pixels, as torchvision rounds
    them, by ratio and then by size."""
    high_R = np.sqrt(np.array(settings.ratios, np.float32))
    wide_R = 1 / high_R
    found = []
    for sizes in anchor_sizes(settings):
        sizes_S = np.array(sizes, np.float32)
        width_A, height_A = ((each_R[:, None] * sizes_S).ravel() / 2 for each_R in (wide_R, high_R))
        found.append(np.stack([-width_A, -height_A, width_A, height_A], axis=1).round().tolist())
    return found


def postprocessing(kind: Kind, settings: DetectorSettings) -> dict[str, Any]:
    """What `dpk_core.exported.detect` reads of `config.json` beside canvas, mean and deviation."""
    common: dict[str, Any] = {
        "kind": kind, "anchors": cell_anchors(settings), "least_score": _LEAST_SCORE, "overlap": _OVERLAP,
        "detections": DETECTIONS,
    }  # fmt: skip
    if kind == "retinanet":
        return common | {"box_weights": _PLAIN_BOXES, "level_candidates": 1000}
    most = min(settings.proposals, EVALUATED_PROPOSALS)
    return common | {
        "box_weights": _FASTER_RCNN_BOXES, "least_side": 0.01,
        "proposals": {"number": most, "overlap": 0.7, "least_side": 0.001, "box_weights": _PLAIN_BOXES},
        "regions": {
            "levels": list(settings.levels), "side": settings.region_side, "samples": 2, "canonical_side": 224,
            "canonical_level": 4,
        },
    }  # fmt: skip
