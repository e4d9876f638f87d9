"""What a detector finds on a split. Shapes: D detections, N pictures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpk_core.catalogue.detection.index import SplitIndex


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Detections:
    """`pictures_D`: positions in the split. `boxes_D4`: left, top, right, bottom in the picture's own pixels.
    `classes_D`: 0 … C-1.
    """

    pictures_D: NDArray[np.int64]
    boxes_D4: NDArray[np.float64]
    classes_D: NDArray[np.int64]
    scores_D: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.pictures_D)

    def finite(self) -> Detections:
        """Those whose score and box are finite: evaluators disagree about the others, and none can be ranked."""
        finite_D = np.isfinite(self.scores_D) & np.isfinite(self.boxes_D4).all(axis=1)
        return Detections(
            pictures_D=self.pictures_D[finite_D], boxes_D4=self.boxes_D4[finite_D],
            classes_D=self.classes_D[finite_D], scores_D=self.scores_D[finite_D],
        )  # fmt: skip


def no_detections() -> Detections:
    """Of a detector that finds nothing."""
    return Detections(
        pictures_D=np.zeros(0, np.int64), boxes_D4=np.zeros((0, 4)), classes_D=np.zeros(0, np.int64),
        scores_D=np.zeros(0),
    )  # fmt: skip


def joined(parts: Sequence[Detections]) -> Detections:
    """Of several batches."""
    return Detections(
        pictures_D=np.concatenate([part.pictures_D for part in parts]),
        boxes_D4=np.concatenate([part.boxes_D4 for part in parts]),
        classes_D=np.concatenate([part.classes_D for part in parts]),
        scores_D=np.concatenate([part.scores_D for part in parts]),
    )


def coco_results(found: Detections, truth: SplitIndex, category_ids: Sequence[int]) -> list[dict[str, Any]]:
    """Detections as COCO's evaluators read them, with the annotation file's ids of pictures and classes, and a box as
    its corner and size. Nothing is rounded: rounded boxes move AP in the fourth digit."""
    found = found.finite()
    sizes_D2 = found.boxes_D4[:, 2:] - found.boxes_D4[:, :2]
    boxes_D4 = np.concatenate([found.boxes_D4[:, :2], sizes_D2], axis=1).tolist()
    ids = [json.loads(each) for each in truth.picture_ids_N.tolist()]
    rows = zip(found.pictures_D.tolist(), found.classes_D.tolist(), boxes_D4, found.scores_D.tolist(), strict=True)
    return [
        {"image_id": ids[picture], "category_id": category_ids[label], "bbox": box, "score": score}
        for picture, label, box, score in rows
    ]
