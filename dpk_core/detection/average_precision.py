"""COCO's average precision (AP): of one class at one overlap the mean precision at 101 recalls, then the mean over
overlaps .50, .55 … .95 and over classes that have boxes. 100 detections of a class in a picture are read.

hotcoco computes it while training; pycocotools, which the literature reports, is the referee at the end. Both read the
same arrays, treat a detector that finds nothing as one that finds nothing right, and see no detection without a finite
score and box. Reference: Lin et al. 2014 (1405.0312); `pycocotools.cocoeval`.

Shapes: T overlaps, R recalls, C classes, A ranges of area (all, small, medium, large), L limits of detections.
"""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from typing import Any

import hotcoco
import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from dpk_core.catalogue.detection.index import SplitIndex
from dpk_core.detection.detections import Detections

AT_50, AT_75 = 0, 5
"""Places of the overlaps .50 and .75."""

LARGEST = 1e10
"""Square pixels: the end of COCO's range of all areas."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AveragePrecision:
    """Scores in 0 … 1; NaN where the split has no boxes of that class or size. Small boxes have an area up to 32² px,
    large ones from 96² on."""

    ap: float
    ap50: float
    ap75: float
    small: float
    medium: float
    large: float
    by_class_C: tuple[float, ...]


def average_precision(truth: SplitIndex, found: Detections, classes: int) -> AveragePrecision:
    """By hotcoco, for every evaluation while training."""
    evaluator = evaluated(truth, found, classes)
    evaluator.accumulate()
    assert evaluator.eval is not None
    return _summary(np.asarray(evaluator.eval["precision"]))


def refereed(truth: SplitIndex, found: Detections, classes: int) -> AveragePrecision:
    """By pycocotools, for results that are reported."""
    with contextlib.redirect_stdout(io.StringIO()):
        reference = COCO()
        reference.dataset = _document(truth, classes)
        reference.createIndex()
        evaluator = COCOeval(reference, reference.loadRes(_rows(found)), "bbox")
        evaluator.evaluate()
        evaluator.accumulate()
    return _summary(evaluator.eval["precision"])


def evaluated(truth: SplitIndex, found: Detections, classes: int, *, whole_range: bool = False) -> hotcoco.COCOeval:
    """hotcoco's evaluator once it has matched detections with boxes. `whole_range`: not by size, for matches alone.

    Pictures are numbered from 1 in the split's order, classes from 1.
    """
    document = _pictures_and_classes(truth, classes)
    reference = hotcoco.COCO.from_arrays(
        document["images"], document["categories"], truth.pictures_M + 1, truth.classes_M.astype(np.int64) + 1,
        _corner_and_size(truth.boxes_M4), area=_areas(truth), iscrowd=truth.crowd_M,
    )  # fmt: skip
    evaluator = hotcoco.COCOeval(reference, reference.load_res(_rows(found)), "bbox")
    if whole_range:
        evaluator.params.area_rng = [[0.0, LARGEST]]
        evaluator.params.area_rng_lbl = ["all"]
    evaluator.evaluate()
    return evaluator


def _summary(precision_TRCAL: NDArray[np.float64]) -> AveragePrecision:
    precision_TRCA = precision_TRCAL[..., -1]
    return AveragePrecision(
        ap=_mean(precision_TRCA[..., 0]),
        ap50=_mean(precision_TRCA[AT_50, ..., 0]),
        ap75=_mean(precision_TRCA[AT_75, ..., 0]),
        small=_mean(precision_TRCA[..., 1]),
        medium=_mean(precision_TRCA[..., 2]),
        large=_mean(precision_TRCA[..., 3]),
        by_class_C=tuple(_mean(precision_TRCA[:, :, place, 0]) for place in range(precision_TRCA.shape[2])),
    )


def _mean(precision: NDArray[np.float64]) -> float:
    """Over what is defined; -1 says that it is not."""
    defined = precision[precision > -1]
    return float(defined.mean()) if defined.size else float("nan")


def _pictures_and_classes(truth: SplitIndex, classes: int) -> dict[str, Any]:
    images = [
        {"id": place + 1, "height": height, "width": width}
        for place, (height, width) in enumerate(truth.sizes_N2.tolist())
    ]
    return {"images": images, "categories": [{"id": place + 1, "name": str(place)} for place in range(classes)]}


def _document(truth: SplitIndex, classes: int) -> dict[str, Any]:
    """The split as a COCO file has it, annotations numbered from 1: pycocotools counts a hit on number 0 as a miss."""
    columns = zip(
        (truth.pictures_M + 1).tolist(), (truth.classes_M + 1).tolist(), _corner_and_size(truth.boxes_M4).tolist(),
        _areas(truth).tolist(), truth.crowd_M.astype(int).tolist(), strict=True,
    )  # fmt: skip
    annotations = [
        {"id": number, "image_id": picture, "category_id": label, "bbox": box, "area": area, "iscrowd": crowd}
        for number, (picture, label, box, area, crowd) in enumerate(columns, 1)
    ]
    return {**_pictures_and_classes(truth, classes), "annotations": annotations}


def _areas(truth: SplitIndex) -> NDArray[np.float64]:
    """Areas of the objects; of its box where none is stated that a range of COCO's holds: an object outside of all
    ranges, such as one of area -1, would be ignored."""
    sides_M2 = truth.boxes_M4[:, 2:].astype(np.float64) - truth.boxes_M4[:, :2]
    stated_M = (truth.areas_M >= 0) & (truth.areas_M <= LARGEST)
    return np.where(stated_M, truth.areas_M, sides_M2.prod(axis=1))


def _rows(found: Detections) -> NDArray[np.float64]:
    """Picture, box as corner and size, score and class of each detection, for both evaluators."""
    found = found.finite()
    if not len(found):
        # An empty list stops pycocotools. A miss in its place leaves every precision 0.
        return np.array([[1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]])
    return np.column_stack(
        [found.pictures_D + 1, _corner_and_size(found.boxes_D4), found.scores_D, found.classes_D + 1]
    )


def _corner_and_size(boxes_M4: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    exact_M4 = boxes_M4.astype(np.float64)
    return np.column_stack([exact_M4[:, :2], exact_M4[:, 2:] - exact_M4[:, :2]])
