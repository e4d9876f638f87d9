"""Which detections are right, and the average precision of pictures weighted anew: matched once, accumulated at will.

Shapes: N pictures, C classes, T overlaps, R recalls; of one class D detections, best score first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dpk_core.catalogue.detection.index import SplitIndex
from dpk_core.detection.average_precision import evaluated
from dpk_core.detection.detections import Detections

RECALLS_R = np.linspace(0.0, 1.0, 101)

OVERLAPS = 10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClassMatches:
    """Detections of one class, `label`. `right_TD`: whether it found a box. `counted_TD`: whether it counts; one on a
    crowd does not. `boxes_N`: boxes to be found in each picture."""

    label: int
    pictures_D: NDArray[np.int64]
    right_TD: NDArray[np.bool_]
    counted_TD: NDArray[np.bool_]
    boxes_N: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Matches:
    """Of the classes that have boxes, on a split of so many pictures."""

    pictures: int
    classes: tuple[ClassMatches, ...]

    def at(self, overlap: int) -> Matches:
        """The same at one of the overlaps."""
        here = slice(overlap, overlap + 1)
        one = [replace(each, right_TD=each.right_TD[here], counted_TD=each.counted_TD[here]) for each in self.classes]
        return Matches(pictures=self.pictures, classes=tuple(one))

    def by_class(self) -> dict[int, Matches]:
        """Each class alone, by its label."""
        return {each.label: Matches(pictures=self.pictures, classes=(each,)) for each in self.classes}


def match(truth: SplitIndex, found: Detections, classes: int) -> Matches:
    """Matches detections with boxes as COCO does, by hotcoco. Most of its time goes into lists of Python numbers."""
    pictures: list[list[int]] = [[] for _ in range(classes)]
    scores: list[list[float]] = [[] for _ in range(classes)]
    right: list[list[NDArray[np.bool_]]] = [[] for _ in range(classes)]
    ignored: list[list[NDArray[np.bool_]]] = [[] for _ in range(classes)]
    boxes_CN = np.zeros((classes, len(truth)), np.int64)
    for each in evaluated(truth, found, classes, whole_range=True).eval_imgs:
        if each is None:
            continue
        label, picture = each["category_id"] - 1, each["image_id"] - 1
        boxes_CN[label, picture] = np.count_nonzero(~np.asarray(each["gtIgnore"], np.bool_))
        if count := len(each["dtScores"]):
            pictures[label] += [picture] * count
            scores[label] += each["dtScores"]
            right[label].append(np.asarray(each["dtMatched"], np.bool_))
            ignored[label].append(np.asarray(each["dtIgnore"], np.bool_))
    made = [
        _in_order(label, pictures[label], scores[label], right[label], ignored[label], boxes_CN[label])
        for label in np.flatnonzero(boxes_CN.any(axis=1)).tolist()
    ]
    return Matches(pictures=len(truth), classes=tuple(made))


def _in_order(
    label: int, pictures: list[int], scores: list[float], right: list[NDArray[np.bool_]],
    ignored: list[NDArray[np.bool_]], boxes_N: NDArray[np.int64],
) -> ClassMatches:  # fmt: skip
    """Equal scores stay in the order of pictures, as in pycocotools."""
    pictures_D, scores_D = np.array(pictures, np.int64), np.array(scores, np.float64)
    by_picture_D = np.argsort(pictures_D, kind="stable")
    order_D = by_picture_D[np.argsort(-scores_D[by_picture_D], kind="stable")]
    none_TD = np.zeros((OVERLAPS, 0), np.bool_)
    right_TD, ignored_TD = (np.concatenate([none_TD, *each], axis=1)[:, order_D] for each in (right, ignored))
    return ClassMatches(
        label=label, pictures_D=pictures_D[order_D], right_TD=right_TD & ~ignored_TD, counted_TD=~ignored_TD,
        boxes_N=boxes_N,
    )  # fmt: skip


def weighted_ap(matches: Matches, weights_N: NDArray[np.float64]) -> float:
    """AP where each picture counts so many times: 1 everywhere is the AP itself, multiplicities are a bootstrap sample.

    NaN where no class has boxes in pictures that count.
    """
    by_class = [_class_ap(each, weights_N) for each in matches.classes if (weights_N * each.boxes_N).sum() > 0]
    return float(np.mean(by_class)) if by_class else float("nan")


def _class_ap(matches: ClassMatches, weights_N: NDArray[np.float64]) -> float:
    weights_D, boxes = weights_N[matches.pictures_D], float((weights_N * matches.boxes_N).sum())
    by_overlap = []
    for right_D, counted_D in zip(matches.right_TD, matches.counted_TD, strict=True):
        counts_D = counted_D & (weights_D > 0)
        right_P = np.cumsum((weights_D * right_D)[counts_D])
        precision_P = right_P / np.cumsum(weights_D[counts_D])
        highest_P = np.maximum.accumulate(precision_P[::-1])[::-1]
        places_R = np.searchsorted(right_P / boxes, RECALLS_R)
        by_overlap.append(np.append(highest_P, 0.0)[places_R].mean())
    return float(np.mean(by_overlap))
