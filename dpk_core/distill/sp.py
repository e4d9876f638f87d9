"""Similarity-preserving distillation: pictures alike to the teacher are alike to the student (Tung and Mori,
1907.09682, eqs. 2 to 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from dpk_core.distill.inputs import MethodInputs, Taps, deepest_taps
from dpk_core.distill.method import Method, StepContext, StepOutcome, outcome
from dpk_core.distill.precision import full_precision
from dpk_core.distill.tapped import TappedMethod


@dataclass(frozen=True, slots=True, kw_only=True)
class SpOptions:
    """Weights of the terms; 3000 is the paper's and that of the CIFAR-100 tables (CRD, 1910.10699, appendix)."""

    class_weight: float = 1.0
    feature_weight: float = 3000.0


class Sp(TappedMethod):
    """L = CE + γ · SP, on the last map."""

    name: ClassVar[str] = "sp"

    def __init__(self, student: nn.Module, teacher: nn.Module, taps: Taps, options: SpOptions) -> None:
        super().__init__(student, teacher, taps)
        self.options = options

    def forward(self, pictures_BCHW: Tensor, labels_B: Tensor, step: StepContext) -> StepOutcome:
        """Parts: `loss_class`, `loss_features`, before their weights."""
        seen = self.run_both(pictures_BCHW)
        loss_class = F.cross_entropy(seen.logits_BC, labels_B)
        loss_features = similarity_loss(*step.world.gather_all(seen.student_maps[0], seen.teacher_maps[0]))
        terms = {
            "class": self.options.class_weight * loss_class, "features": self.options.feature_weight * loss_features
        }  # fmt: skip
        return outcome(terms, seen.logits_BC, {"loss_class": loss_class, "loss_features": loss_features})


@full_precision
def similarity_loss(student_BCHW: Tensor, teacher_BCHW: Tensor) -> Tensor:
    """1/B² · ‖Gt − Gs‖², each G the pictures' inner products with its rows at unit length. Sizes may differ."""
    return F.mse_loss(_similarity(student_BCHW), _similarity(teacher_BCHW))


def _similarity(map_BCHW: Tensor) -> Tensor:
    Q_BF = map_BCHW.flatten(1)
    return F.normalize(Q_BF @ Q_BF.T, dim=1)


def build(inputs: MethodInputs) -> Method:
    """Similarity-preserving distillation with the literature's weights."""
    teacher, _ = inputs.the_teacher()
    return Sp(inputs.student, teacher, deepest_taps(inputs), SpOptions())
