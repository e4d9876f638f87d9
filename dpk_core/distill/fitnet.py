"""FitNets: the student's map, through a regressor, is drawn to the teacher's (Romero et al., 1412.6550, eq. 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from dpk_core.distill.inputs import MethodInputs, Taps, deepest_taps
from dpk_core.distill.losses import feature_mse
from dpk_core.distill.method import Method, StepContext, StepOutcome, outcome
from dpk_core.distill.tapped import TappedMethod, resize_like
from dpk_core.models.initialisation import own_randomness
from dpk_core.randomness import derive


@dataclass(frozen=True, slots=True, kw_only=True)
class FitNetOptions:
    """Weights of the terms, as behind the FitNet rows of the CIFAR-100 tables (CRD, 1910.10699, appendix): the hint is
    the second of three stages, its weight 100."""

    class_weight: float = 1.0
    feature_weight: float = 100.0


class FitNet(TappedMethod):
    """L = CE + β · MSE(r(Fs), Ft), on the second-last map.

    r is a 1x1 convolution with batch normalisation, after a bilinear resize where the maps differ in size. There is no
    ReLU behind it, as a teacher's map may be negative. As in the tables, hint and class are learnt together.
    """

    name: ClassVar[str] = "fitnet"

    def __init__(
        self, student: nn.Module, teacher: nn.Module, taps: Taps, regressor: nn.Module, options: FitNetOptions
    ) -> None:
        super().__init__(student, teacher, taps)
        self.options = options
        self.extras["regressor"] = regressor

    def forward(self, pictures_BCHW: Tensor, labels_B: Tensor, step: StepContext) -> StepOutcome:  # noqa: ARG002 - no chance
        """Parts: `loss_class`, `loss_features`, before their weights."""
        seen = self.run_both(pictures_BCHW)
        teacher_BCHW = seen.teacher_maps[-1]
        hinted_BCHW = self.extras["regressor"](resize_like(seen.student_maps[-1], teacher_BCHW))
        loss_class = F.cross_entropy(seen.logits_BC, labels_B)
        loss_features = feature_mse(hinted_BCHW, teacher_BCHW)
        terms = {
            "class": self.options.class_weight * loss_class, "features": self.options.feature_weight * loss_features
        }  # fmt: skip
        return outcome(terms, seen.logits_BC, {"loss_class": loss_class, "loss_features": loss_features})


def build(inputs: MethodInputs) -> Method:
    """FitNet with the literature's weights."""
    teacher, _ = inputs.the_teacher()
    taps = deepest_taps(inputs)
    with own_randomness(derive(inputs.seed, "fitnet")):
        channels = taps.teacher_shapes[-1][1]
        regressor = nn.Sequential(
            nn.Conv2d(taps.student_shapes[-1][1], channels, kernel_size=1), nn.BatchNorm2d(channels)
        )
    return FitNet(inputs.student, teacher, taps, regressor.to(inputs.device), FitNetOptions())
