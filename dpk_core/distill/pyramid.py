"""Student detectors, alone or beside a teacher whose feature pyramid is seen. B pictures, C channels, H x W map.

Of the teacher only the backbone with its pyramid runs: in evaluation mode the rest of a detector looks for boxes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from dpk_core.catalogue.detection.levels import Level
from dpk_core.data.boxes import BoxTargets
from dpk_core.detection.detector import detector_losses
from dpk_core.detection_settings import LevelName
from dpk_core.distill.method import Method, StepContext, StepOutcome, outcome, unchanged
from dpk_core.distill.tapped import resize_like
from dpk_core.models.taps import FeatureTaps

Maps = dict[str, tuple[Tensor, Tensor]]
"""Of student and teacher by level, the finest first; the student's at the teacher's size."""


class DetectorAlone(Method):
    """L = the detector's own losses."""

    name: ClassVar[str] = "none"
    needs_teacher: ClassVar[bool] = False

    def forward(self, pictures_BCHW: Tensor, labels_B: BoxTargets, step: StepContext) -> StepOutcome:  # noqa: ARG002 - seeded by the loop
        """Parts: `loss_<name>` of each of the detector's losses."""
        return detector_outcome(detector_losses(self.student, pictures_BCHW, labels_B), {}, {})


class PyramidMethod(Method):
    """A method that compares levels of two pyramids."""

    needs_teacher: ClassVar[bool] = True

    def __init__(self, student: nn.Module, teacher: nn.Module, levels: Mapping[LevelName, Level]) -> None:
        super().__init__(student, teacher)
        self.levels = dict(levels)
        self._modules_seen = [f"backbone.fpn.layer_blocks.{level.student_place}" for level in levels.values()]

    def run_both(self, pictures_BCHW: Tensor, targets: BoxTargets) -> tuple[dict[str, Tensor], Maps]:
        """The student's own losses, and the maps of both networks."""
        with torch.no_grad(), unchanged(pictures_BCHW):
            pyramid = cast(nn.Module, cast(nn.Module, self.teacher).backbone)(pictures_BCHW)
        theirs = list(pyramid.values())
        with FeatureTaps(self.student, self._modules_seen) as taps:
            losses = detector_losses(self.student, pictures_BCHW, targets)
            ours = taps.maps
        maps: Maps = {}
        for (name, level), student_BCHW in zip(self.levels.items(), ours, strict=True):
            teacher_BCHW = theirs[level.teacher_place]
            maps[name] = (resize_like(student_BCHW, teacher_BCHW), teacher_BCHW)
        return losses, maps


def detector_outcome(losses: Mapping[str, Tensor], terms: dict[str, Tensor], parts: dict[str, Tensor]) -> StepOutcome:
    """The outcome of a step from the detector's own losses, which are one term, and other weighted terms."""
    own = torch.stack(list(losses.values())).sum()
    named = {f"loss_{name.removeprefix('loss_')}": loss for name, loss in losses.items()}
    return outcome({"detector": own, **terms}, None, {**named, **parts})
