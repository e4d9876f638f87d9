"""Splits with random boxes, and detectors that find them with random errors."""

from __future__ import annotations

import numpy as np

from dpk_core.catalogue.detection.index import SplitIndex
from dpk_core.detection.detections import Detections

HEIGHT, WIDTH = 240, 320


def made_up_split(seed: int, pictures: int, classes: int, crowd: float = 0.0, most: int = 6) -> SplitIndex:
    """0 … `most` boxes a picture of all sizes."""
    random = np.random.default_rng(seed)
    counts_N = random.integers(0, most + 1, pictures)
    count = int(counts_N.sum())
    sides_M2 = np.exp(random.uniform(np.log(8), np.log(150), (count, 2)))
    corners_M2 = random.uniform(0, 1, (count, 2)) * (np.array([WIDTH, HEIGHT]) - sides_M2)
    return SplitIndex(
        names_N=np.array([b"%d.png" % n for n in range(pictures)]),
        picture_ids_N=np.array([str(n) for n in range(pictures)]),
        sizes_N2=np.full((pictures, 2), (HEIGHT, WIDTH), np.int32),
        first_N1=np.concatenate([[0], np.cumsum(counts_N)]).astype(np.int64),
        boxes_M4=np.column_stack([corners_M2, corners_M2 + sides_M2]).astype(np.float32),
        classes_M=random.integers(0, classes, count).astype(np.int32),
        crowd_M=random.random(count) < crowd,
        areas_M=sides_M2.prod(axis=1) * random.uniform(0.6, 1, count),
        box_ids_M=np.array([str(n) for n in range(count)]),
    )


def made_up_detections(
    seed: int, truth: SplitIndex, classes: int, *, skill: float = 0.7, ties: bool = False
) -> Detections:
    """A share `skill` of the boxes, moved a little, and about as many false ones.

    How hard each box and picture is, is the same for every seed, as it is for real detectors.
    """
    random = np.random.default_rng(seed)
    hard = np.random.default_rng(77)
    pictures_M, count = truth.pictures_M, len(truth.boxes_M4)
    hardness_M = hard.random(count) * 0.6 + hard.random(len(truth))[pictures_M] * 0.4
    hit_M = hardness_M + random.normal(0, 0.15, count) < skill
    sides_M2 = truth.boxes_M4[:, 2:] - truth.boxes_M4[:, :2]
    moved_M4 = truth.boxes_M4 + random.normal(0, 0.06 + 0.1 * hardness_M[:, None], (count, 4)) * np.tile(sides_M2, 2)
    moved_M4[:, 2:] = np.maximum(moved_M4[:, 2:], moved_M4[:, :2] + 2)
    scores_M = 1 / (1 + np.exp(-(1.5 - 2 * hardness_M + random.normal(0, 0.7, count))))
    false = max(1, count)
    corners_D2 = random.uniform(0, 1, (false, 2)) * np.array([WIDTH - 60, HEIGHT - 60])
    false_D4 = np.column_stack([corners_D2, corners_D2 + random.uniform(5, 60, (false, 2))])
    scores_D = np.concatenate([scores_M[hit_M], random.beta(2, 3, false)])
    return Detections(
        pictures_D=np.concatenate([pictures_M[hit_M], random.integers(0, len(truth), false)]),
        boxes_D4=np.concatenate([moved_M4[hit_M], false_D4]),
        classes_D=np.concatenate([truth.classes_M[hit_M], random.integers(0, classes, false)]).astype(np.int64),
        scores_D=np.round(scores_D, 1) if ties else scores_D,
    )
