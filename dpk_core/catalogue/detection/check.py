"""The facts of a detection data set that people should know before they train on it: JSON-able."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dpk_core.catalogue.detection.canvas import canvas_faults
from dpk_core.catalogue.detection.faults import Fault
from dpk_core.catalogue.detection.findings import fault_findings
from dpk_core.catalogue.detection.index import DetectionIndex
from dpk_core.catalogue.detection.store import recalled_index
from dpk_core.catalogue.finding import Finding
from dpk_core.detection_settings import Canvas, DetectionSettings
from dpk_core.display import shown


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassBoxes:
    """Boxes of one class, or of one size, in each split."""

    name: str
    train: int
    validation: int
    test: int


SIZES = (("small", 0.0), ("medium", 32.0**2), ("large", 96.0**2))
"""Sizes of objects and the square pixels of the picture from which they are so: COCO's, which AP by size goes by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionCheck:
    """A detection data set as it lies on disk and as detectors see it on a canvas.

    `train`, `validation`, `test`: pictures. `held_out`: splits that are not on disk and come out of another.
    `sizes`: boxes of small, medium and large objects.
    `usual_size`: height and width that most pictures have.
    """

    name: str
    fingerprint: str
    canvas: Canvas
    train: int
    validation: int
    test: int
    classes: tuple[ClassBoxes, ...]
    sizes: tuple[ClassBoxes, ...]
    held_out: tuple[str, ...]
    usual_size: tuple[int, ...]
    faults: tuple[Fault, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the faults mean, the worst first."""
        return fault_findings(self.faults)


def detection_check(name: str, folder: Path, settings: DetectionSettings) -> DetectionCheck:
    """The facts of the data set in this folder, called `name`. Raises DataFault where it cannot be understood."""
    canvas, finest = settings.canvas, min(settings.fasterrcnn.levels[0], settings.retinanet.levels[0])
    found = recalled_index(folder)
    index = found.index
    boxes = {split: np.bincount(each.classes_M, minlength=len(index.classes)) for split, each in index.splits.items()}
    sizes, counts = np.unique(
        np.concatenate([each.sizes_N2 for each in index.splits.values()]), axis=0, return_counts=True
    )
    return DetectionCheck(
        name=name, fingerprint=found.fingerprint, canvas=canvas,
        train=len(index.splits["train"]), validation=len(index.splits["validation"]), test=len(index.splits["test"]),
        classes=tuple(
            ClassBoxes(name=shown(label), **{split: int(each[place]) for split, each in boxes.items()})
            for place, label in enumerate(index.classes)
        ),
        sizes=_sizes(index), held_out=index.held_out, usual_size=tuple(sizes[counts.argmax()].tolist()),
        faults=(*index.faults, *canvas_faults(index, canvas, finest)),
    )  # fmt: skip


def _sizes(index: DetectionIndex) -> tuple[ClassBoxes, ...]:
    bounds = [least for _, least in SIZES[1:]]
    counts = {
        split: np.bincount(np.digitize(each.areas_M, bounds), minlength=len(SIZES))
        for split, each in index.splits.items()
    }
    return tuple(
        ClassBoxes(name=name, **{split: int(each[place]) for split, each in counts.items()})
        for place, (name, _) in enumerate(SIZES)
    )
