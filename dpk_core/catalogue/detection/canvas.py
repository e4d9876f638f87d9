"""Boxes on the canvas that pictures are fitted into for training."""

from __future__ import annotations

import numpy as np

from dpk_core.catalogue.detection.faults import Fault
from dpk_core.catalogue.detection.index import DetectionIndex
from dpk_core.detection_settings import Canvas


def canvas_faults(index: DetectionIndex, canvas: Canvas, finest_level: int) -> tuple[Fault, ...]:
    """Boxes whose side (root of their area) is below half a cell of the finest level on a canvas of this size, by
    split."""
    faults = []
    for split, found in index.splits.items():
        sizes_M2 = found.sizes_N2[found.pictures_M]
        scale_M = np.minimum(canvas.height / sizes_M2[:, 0], canvas.width / sizes_M2[:, 1])
        sides_M2 = found.boxes_M4[:, 2:] - found.boxes_M4[:, :2]
        side_M = np.sqrt(sides_M2.prod(1)) * scale_M
        small_M = side_M < 2**finest_level / 2
        if small_M.any():
            first = int(small_M.argmax())
            faults.append(
                Fault(
                    kind="boxes_too_small", split=split, count=int(small_M.sum()), of=len(small_M),
                    picture=found.name(int(found.pictures_M[first])), annotation=str(found.box_ids_M[first]),
                    example=f"{side_M[first]:.1f} px on {canvas.height} x {canvas.width}",
                )
            )  # fmt: skip
    return tuple(faults)
