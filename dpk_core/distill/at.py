"""Attention transfer: the student looks where the teacher looks (Zagoruyko and Komodakis, 1612.03928, eq. 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dpk_core.distill.inputs import MethodInputs, Taps, deepest_taps
from dpk_core.distill.method import Method, StepContext, StepOutcome, outcome
from dpk_core.distill.pooling import average_pool
from dpk_core.distill.precision import full_precision
from dpk_core.distill.tapped import PairOutputs, TappedMethod


@dataclass(frozen=True, slots=True, kw_only=True)
class AtOptions:
    """Weights of the terms, as behind the AT rows of the CIFAR-100 tables (CRD, 1910.10699, appendix)."""

    class_weight: float = 1.0
    feature_weight: float = 1000.0


class At(TappedMethod):
    """L = CE + β · Σ attention losses, over all stages that both networks have."""

    name: ClassVar[str] = "at"

    def __init__(self, student: nn.Module, teacher: nn.Module, taps: Taps, options: AtOptions) -> None:
        super().__init__(student, teacher, taps)
        self.options = options

    def forward(self, pictures_BCHW: Tensor, labels_B: Tensor, step: StepContext) -> StepOutcome:  # noqa: ARG002 - no chance
        """Parts: `loss_class`, `loss_features`, before their weights."""
        seen = self.run_both(pictures_BCHW)
        loss_class = F.cross_entropy(seen.logits_BC, labels_B)
        loss_features = attention_losses(seen)
        terms = {
            "class": self.options.class_weight * loss_class, "features": self.options.feature_weight * loss_features
        }  # fmt: skip
        return outcome(terms, seen.logits_BC, {"loss_class": loss_class, "loss_features": loss_features})


def attention_losses(seen: PairOutputs) -> Tensor:
    """The sum over all tapped maps."""
    pairs = zip(seen.student_maps, seen.teacher_maps, strict=True)
    return torch.stack([attention_loss(student, teacher) for student, teacher in pairs]).sum()


@full_precision
def attention_loss(student_BCHW: Tensor, teacher_BCHW: Tensor) -> Tensor:
    """Mean squared difference of two attention maps, over pictures and positions.

    As in the authors' code; their eq. 2 has the plain norm. The larger map is averaged down to the smaller.
    """
    rows, columns = (min(student_BCHW.shape[side], teacher_BCHW.shape[side]) for side in (2, 3))
    student_BN, teacher_BN = (attention(average_pool(m, rows, columns)) for m in (student_BCHW, teacher_BCHW))
    return F.mse_loss(student_BN, teacher_BN)


def attention(map_BCHW: Tensor) -> Tensor:
    """Sum of squares over the channels at each of the N positions, at unit length: BxN."""
    return F.normalize(map_BCHW.pow(2).sum(dim=1).flatten(1), dim=1)


def build(inputs: MethodInputs) -> Method:
    """Attention transfer with the literature's weights."""
    teacher, _ = inputs.the_teacher()
    return At(inputs.student, teacher, deepest_taps(inputs), AtOptions())
