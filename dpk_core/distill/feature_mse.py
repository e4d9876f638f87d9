"""Feature MSE for detectors: the student's levels, through 1×1 convolutions, are drawn to the teacher's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from dpk_core.catalogue.detection.levels import Level
from dpk_core.data.boxes import BoxTargets
from dpk_core.detection_settings import LevelName
from dpk_core.distill.losses import feature_mse
from dpk_core.distill.method import StepContext, StepOutcome
from dpk_core.distill.pyramid import PyramidMethod, detector_outcome


class FeatureMse(PyramidMethod):
    """L = own losses + β · Σ MSE(r(Fs), Ft) over the levels."""

    name: ClassVar[str] = "feature_mse"

    def __init__(
        self, student: nn.Module, teacher: nn.Module, levels: Mapping[LevelName, Level], weight: float
    ) -> None:
        super().__init__(student, teacher, levels)
        self.weight = weight
        self.extras.update({name: regressor(level) for name, level in levels.items()})

    def forward(self, pictures_BCHW: Tensor, labels_B: BoxTargets, step: StepContext) -> StepOutcome:  # noqa: ARG002 - no chance
        """Parts: the detector's losses, and `loss_features` before β."""
        losses, maps = self.run_both(pictures_BCHW, labels_B)
        drawn = [feature_mse(self.extras[name](student), teacher) for name, (student, teacher) in maps.items()]
        loss = torch.stack(drawn).sum()
        return detector_outcome(losses, {"features": self.weight * loss}, {"loss_features": loss})


def regressor(level: Level) -> nn.Module:
    """From the student's channels to the teacher's."""
    return nn.Conv2d(level.student_channels, level.teacher_channels, kernel_size=1)
