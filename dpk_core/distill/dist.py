"""DIST: correlation in place of equality, within pictures and within classes (Huang et al., 2205.10536, section 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from dpk_core.distill.inputs import MethodInputs
from dpk_core.distill.method import Method, StepContext, StepOutcome, outcome
from dpk_core.distill.precision import full_precision

EPS = 1e-8
"""Least norm. The paper's correlation has none; the authors' code adds 1e-8 to the product of the norms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DistOptions:
    """Weights of the terms and the temperature, as reimplementations have them for CIFAR-100. The authors' published
    code takes any temperature and has 1 for all three by default."""

    class_weight: float = 1.0
    inter_weight: float = 2.0
    intra_weight: float = 2.0
    temperature: float = 4.0


class Dist(Method):
    """L = CE + β · inter + γ · intra."""

    name: ClassVar[str] = "dist"
    needs_teacher: ClassVar[bool] = True

    def __init__(self, student: nn.Module, teacher: nn.Module, options: DistOptions | None = None) -> None:
        super().__init__(student, teacher)
        self.options = options or DistOptions()

    def forward(self, pictures_BCHW: Tensor, labels_B: Tensor, step: StepContext) -> StepOutcome:
        """Parts: `loss_class`, `loss_inter`, `loss_intra`, before their weights."""
        teacher_logits_BC = self.ask_teacher(pictures_BCHW)
        logits_BC = self.student(pictures_BCHW)
        loss_class = F.cross_entropy(logits_BC, labels_B)
        every_BC, every_teacher_BC = step.world.gather_all(logits_BC, teacher_logits_BC)
        loss_inter, loss_intra = relation_losses(every_BC, every_teacher_BC, self.options.temperature)
        terms = {
            "class": self.options.class_weight * loss_class,
            "inter": self.options.inter_weight * loss_inter,
            "intra": self.options.intra_weight * loss_intra,
        }
        parts = {"loss_class": loss_class, "loss_inter": loss_inter, "loss_intra": loss_intra}
        return outcome(terms, logits_BC, parts)


@full_precision
def relation_losses(student_logits_BC: Tensor, teacher_logits_BC: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """T² · (1 − mean correlation) of the softened probabilities: within each picture, and within each class.

    T² as in the authors' code; the pseudo-code in their appendix is without.
    """
    student_BC, teacher_BC = ((z / temperature).softmax(dim=1) for z in (student_logits_BC, teacher_logits_BC))
    inter = 1 - _correlation(student_BC, teacher_BC).mean()
    intra = 1 - _correlation(student_BC.T, teacher_BC.T).mean()
    return inter * temperature**2, intra * temperature**2


def _correlation(a_RC: Tensor, b_RC: Tensor) -> Tensor:
    """Pearson's, row by row."""
    a_RC, b_RC = (x - x.mean(dim=1, keepdim=True) for x in (a_RC, b_RC))
    return F.cosine_similarity(a_RC, b_RC, dim=1, eps=EPS)


def build(inputs: MethodInputs) -> Method:
    """DIST with the literature's weights."""
    teacher, _ = inputs.the_teacher()
    return Dist(inputs.student, teacher)
