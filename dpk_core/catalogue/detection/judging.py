"""Which boxes can be used, and what is wrong with the others: by their numbers, whatever the format was."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dpk_core.catalogue.detection.raw import RawSplit

BEYOND = 1.0
"""Pixels that a box may reach beyond its picture: the rounding of most tools."""

LEAST_SIDE = 1e-3
"""Pixels below which a side is rounding: in a large picture, or on a smaller canvas, nothing is left of it."""

CORNERS = 0.95
"""Part of a split's boxes that must make sense as two corners before they are reported as corners."""

CORNERS_BEYOND = 0.1
"""Part of the boxes that must reach beyond their picture as corner and size, likewise."""

READ_OF_A_PICTURE = 100
"""Boxes in a picture that AP can find: it reads as many detections."""


def judge(raw: RawSplit, *, relative: bool = False) -> None:
    """Counts faults and drops the boxes that cannot be used. `relative`: as the format has it (YOLO)."""
    if not relative:
        _check_units(raw)
    _check_corners(raw, relative=relative)
    width_M, height_M = raw.boxes_M4[:, 2], raw.boxes_M4[:, 3]
    negative_M = (width_M < 0) | (height_M < 0)
    zero_M = ~negative_M & ((width_M < LEAST_SIDE) | (height_M < LEAST_SIDE))
    raw.log("box_negative_size", negative_M)
    raw.log("box_zero_size", zero_M)
    raw.keep(~(negative_M | zero_M))
    outside_M = _outside(raw)
    raw.log("box_outside", outside_M)
    raw.keep(~outside_M)
    raw.log("box_partly_outside", _beyond(raw, BEYOND))
    raw.log("box_duplicate", _duplicates(raw))
    _check_crowd(raw)
    _check_pictures(raw)


def _check_units(raw: RawSplit) -> None:
    """Whether the boxes are in parts of the picture instead of pixels."""
    boxes_M4 = raw.boxes_M4
    raw.log("box_relative", (boxes_M4 >= 0).all(1) & (boxes_M4 <= 1).all(1) & (boxes_M4 != np.rint(boxes_M4)).any(1))


def _check_corners(raw: RawSplit, *, relative: bool) -> None:
    """Whether what should be a corner (YOLO: a middle) and a size is two corners."""
    if not len(raw.boxes_M4):
        return
    first_M2, second_M2 = raw.boxes_M4[:, :2], raw.boxes_M4[:, 2:]
    if relative:
        first_M2 = first_M2 + second_M2 / 2
    within_M = (second_M2 <= raw.sizes_N2[raw.pictures_M][:, ::-1] + BEYOND).all(1)
    beyond_M = _beyond(raw, 2 * BEYOND)
    if ((second_M2 > first_M2).all(1) & within_M).mean() >= CORNERS and beyond_M.mean() >= CORNERS_BEYOND:
        raw.log("box_corners", beyond_M)


def _beyond(raw: RawSplit, pixels: float) -> NDArray[np.bool_]:
    """Boxes that reach beyond their picture by more than so many pixels."""
    heights_M, widths_M = raw.sizes_N2[raw.pictures_M].T
    left_M, top_M, width_M, height_M = raw.boxes_M4.T
    beyond_M: NDArray[np.bool_] = (
        (left_M < -pixels) | (top_M < -pixels)
        | (left_M + width_M > widths_M + pixels) | (top_M + height_M > heights_M + pixels)
    )  # fmt: skip
    return beyond_M


def _outside(raw: RawSplit) -> NDArray[np.bool_]:
    heights_M, widths_M = raw.sizes_N2[raw.pictures_M].T
    left_M, top_M, width_M, height_M = raw.boxes_M4.T
    outside_M: NDArray[np.bool_] = (
        (left_M > widths_M - LEAST_SIDE) | (top_M > heights_M - LEAST_SIDE)
        | (left_M + width_M < LEAST_SIDE) | (top_M + height_M < LEAST_SIDE)
    )  # fmt: skip
    return outside_M


def _duplicates(raw: RawSplit) -> NDArray[np.bool_]:
    """Boxes that an earlier annotation of the same picture and class has."""
    if not len(raw.boxes_M4):
        return np.zeros(0, np.bool_)
    rows_M6 = np.column_stack([raw.pictures_M, raw.categories_M, raw.boxes_M4])
    _, first = np.unique(rows_M6, axis=0, return_index=True)
    again_M = np.ones(len(rows_M6), np.bool_)
    again_M[first] = False
    return again_M


def _check_crowd(raw: RawSplit) -> None:
    if len(raw.crowd_M) and raw.crowd_M.all():
        raw.log("crowd_all", raw.crowd_M)


def _check_pictures(raw: RawSplit) -> None:
    counts_N = np.bincount(raw.pictures_M, minlength=len(raw.names))
    if not len(raw.ids):
        raw.faults.add("no_boxes", count=max(1, raw.listed))
        return
    raw.log_pictures("picture_without_boxes", counts_N == 0)
    crowded_N = counts_N > READ_OF_A_PICTURE
    raw.log_pictures("boxes_beyond_100", crowded_N, f"{int(counts_N.max())} boxes at most")
