"""Boxes on a canvas, and how they follow what is done to its pictures.

Coordinates are of edges between pixels: a box over the first pixel alone is 0, 0, 1, 1. Shapes: B pictures, M boxes of
the picture that has most, 4 numbers each: left, top, right, bottom.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dpk_core.catalogue.detection.index import SplitIndex
from dpk_core.data.to_device import to_device
from dpk_core.detection_settings import Canvas

NO_BOX = -1
"""Label in the places of a batch that hold no box."""

LEAST_PART = 0.25
"""Part of a box's area that must stay in a crop for the box to stay."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoxTargets:
    """What there is to find in a batch. Pictures with fewer boxes are filled with `NO_BOX`, so batches can be split
    among ranks. `labels_BM`: 0 … C-1. `crowd_BM`: groups of objects, neither found nor missed."""

    boxes_BM4: Tensor
    labels_BM: Tensor
    crowd_BM: Tensor

    @property
    def present_BM(self) -> Tensor:
        """Places that hold a box."""
        return self.labels_BM != NO_BOX

    def __len__(self) -> int:
        return len(self.labels_BM)

    def __getitem__(self, places_B: Tensor | slice) -> BoxTargets:
        """Those of some pictures."""
        return BoxTargets(
            boxes_BM4=self.boxes_BM4[places_B], labels_BM=self.labels_BM[places_B], crowd_BM=self.crowd_BM[places_B]
        )

    def tensor_split(self, sections: int) -> tuple[BoxTargets, ...]:
        """In so many parts of about the same number of pictures, as torch splits a tensor."""
        bounds = torch.arange(len(self)).tensor_split(sections)
        return tuple(self[places_B] for places_B in bounds)

    def to(self, device: torch.device) -> BoxTargets:
        """The same on a device."""
        return BoxTargets(
            boxes_BM4=to_device(self.boxes_BM4, device), labels_BM=to_device(self.labels_BM, device),
            crowd_BM=to_device(self.crowd_BM, device),
        )  # fmt: skip


Targets = Tensor | BoxTargets
"""What there is to learn in a batch: the class of each picture (B), or boxes."""


def split_targets(targets: Targets, sections: int) -> tuple[Targets, ...]:
    """In so many parts of about the same number of pictures."""
    return tuple(targets.tensor_split(sections))


def fitted_size(height: int, width: int, canvas: Canvas) -> tuple[int, int]:
    """Height and width in pixels of a picture once it is as large as the canvas holds, at its own aspect ratio."""
    scale = min(canvas.height / height, canvas.width / width)
    return (
        min(canvas.height, max(1, round(height * scale))),
        min(canvas.width, max(1, round(width * scale))),
    )


def to_canvas(boxes_M4: NDArray[np.float64], height: int, width: int, canvas: Canvas) -> NDArray[np.float64]:
    """Boxes of a picture of this size on the canvas, where it lies at the top left; cut to the picture."""
    cut_M4 = np.clip(boxes_M4, 0, [width, height, width, height])
    return cut_M4 * _scale(height, width, canvas)


def from_canvas(boxes_M4: NDArray[np.float64], height: int, width: int, canvas: Canvas) -> NDArray[np.float64]:
    """Boxes on the canvas in the pixels of the picture, cut to it: the inverse of `to_canvas`."""
    return np.clip(boxes_M4 / _scale(height, width, canvas), 0, [width, height, width, height])


def box_targets(split: SplitIndex, pictures: Sequence[int], canvas: Canvas) -> BoxTargets:
    """The boxes of some pictures on the canvas."""
    counts = [int(split.first_N1[picture + 1] - split.first_N1[picture]) for picture in pictures]
    most = max([1, *counts])
    boxes_BM4 = torch.zeros(len(pictures), most, 4)
    labels_BM = torch.full((len(pictures), most), NO_BOX)
    crowd_BM = torch.zeros(len(pictures), most, dtype=torch.bool)
    for place, (picture, count) in enumerate(zip(pictures, counts, strict=True)):
        here = slice(int(split.first_N1[picture]), int(split.first_N1[picture + 1]))
        height, width = split.sizes_N2[picture].tolist()
        on_canvas = to_canvas(split.boxes_M4[here].astype("float64"), height, width, canvas)
        boxes_BM4[place, :count] = torch.from_numpy(on_canvas).float()
        labels_BM[place, :count] = torch.from_numpy(split.classes_M[here]).long()
        crowd_BM[place, :count] = torch.from_numpy(split.crowd_M[here])
    found = BoxTargets(boxes_BM4=boxes_BM4, labels_BM=labels_BM, crowd_BM=crowd_BM)
    return _with_boxes(found, boxes_BM4, found.present_BM)


def mirrored(targets: BoxTargets, which_B: Tensor, side: int, *, upright: bool = False) -> BoxTargets:
    """Left and right change places in these pictures of a canvas so wide; `upright`: top and bottom, so high."""
    first = 1 if upright else 0
    boxes_BM4 = targets.boxes_BM4.clone()
    boxes_BM4[..., first] = side - targets.boxes_BM4[..., first + 2]
    boxes_BM4[..., first + 2] = side - targets.boxes_BM4[..., first]
    boxes_BM4 = torch.where(which_B[:, None, None], boxes_BM4, targets.boxes_BM4)
    return _with_boxes(targets, boxes_BM4, targets.present_BM)


def cropped(targets: BoxTargets, windows_B4: Tensor, canvas: Canvas) -> BoxTargets:
    """What is left once a window (left, top, width, height) of each canvas is enlarged to the whole canvas.

    Boxes are cut to the window; those of which less than `LEAST_PART` of the area stays are dropped.
    """
    corner_B14, size_B14 = (part_B2.repeat(1, 2)[:, None] for part_B2 in (windows_B4[:, :2], windows_B4[:, 2:]))
    before_BM4 = targets.boxes_BM4 - corner_B14
    after_BM4 = torch.minimum(before_BM4.clamp_min(0), size_B14)
    stays_BM = _areas(after_BM4) >= LEAST_PART * _areas(before_BM4)
    sides = torch.tensor([canvas.width, canvas.height] * 2, dtype=after_BM4.dtype)
    canvas_4 = to_device(sides, after_BM4.device)
    # Rounding may lead beyond the canvas.
    enlarged_BM4 = torch.minimum(after_BM4 * (canvas_4 / size_B14), canvas_4)
    return _with_boxes(targets, enlarged_BM4, targets.present_BM & stays_BM)


def _with_boxes(targets: BoxTargets, boxes_BM4: Tensor, stays_BM: Tensor) -> BoxTargets:
    """Other boxes, of which those stay that have an area: rounding may leave none, which detectors refuse."""
    stays_BM = stays_BM & (boxes_BM4[..., 2:] > boxes_BM4[..., :2]).all(-1)
    return BoxTargets(
        boxes_BM4=torch.where(stays_BM[..., None], boxes_BM4, 0.0),
        labels_BM=torch.where(stays_BM, targets.labels_BM, NO_BOX),
        crowd_BM=targets.crowd_BM & stays_BM,
    )


def _areas(boxes_BM4: Tensor) -> Tensor:
    sides_BM2 = (boxes_BM4[..., 2:] - boxes_BM4[..., :2]).clamp_min(0)
    return sides_BM2[..., 0] * sides_BM2[..., 1]


def _scale(height: int, width: int, canvas: Canvas) -> NDArray[np.float64]:
    """Pixels of the canvas per pixel of the picture, as both axes are rounded to whole pixels on their own."""
    inner_height, inner_width = fitted_size(height, width, canvas)
    return np.array([inner_width / width, inner_height / height] * 2)
