"""Decoupled knowledge distillation: the true class and all others apart (Zhao et al., 2203.08679, eq. 7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dpk_core.distill.inputs import MethodInputs
from dpk_core.distill.method import Method, StepContext, StepOutcome, class_numbers, outcome
from dpk_core.distill.precision import full_precision
from dpk_core.distill.warm_up import warm_up


@dataclass(frozen=True, slots=True, kw_only=True)
class DkdOptions:
    """Weights of the terms and the temperature: the authors' for CIFAR-100. They tune β by pair: 2, 6 or 8, their
    default."""

    class_weight: float = 1.0
    target_weight: float = 1.0
    other_weight: float = 8.0
    temperature: float = 4.0


class Dkd(Method):
    """L = CE + warm-up · (α · TCKD + β · NCKD)."""

    name: ClassVar[str] = "dkd"
    needs_teacher: ClassVar[bool] = True

    def __init__(self, student: nn.Module, teacher: nn.Module, options: DkdOptions | None = None) -> None:
        super().__init__(student, teacher)
        self.options = options or DkdOptions()

    def forward(self, pictures_BCHW: Tensor, labels_B: Tensor, step: StepContext) -> StepOutcome:
        """Parts: `loss_class`, `loss_target`, `loss_others`, before their weights. Raises ValueError when the step does
        not know the length of the training."""
        teacher_logits_BC = self.ask_teacher(pictures_BCHW)
        logits_BC = self.student(pictures_BCHW)
        loss_class = F.cross_entropy(logits_BC, labels_B)
        loss_target, loss_others = decoupled_losses(
            logits_BC, teacher_logits_BC, class_numbers(labels_B), self.options.temperature
        )
        grown = warm_up(step)
        terms = {
            "class": self.options.class_weight * loss_class,
            "target": grown * self.options.target_weight * loss_target,
            "others": grown * self.options.other_weight * loss_others,
        }
        parts = {"loss_class": loss_class, "loss_target": loss_target, "loss_others": loss_others}
        return outcome(terms, logits_BC, parts)


@full_precision
def decoupled_losses(
    student_logits_BC: Tensor, teacher_logits_BC: Tensor, labels_B: Tensor, temperature: float
) -> tuple[Tensor, Tensor]:
    """TCKD and NCKD, both times T², means over pictures: T² · KL(teacher ‖ student) of true class against the rest,
    and of the classes within the rest."""
    (student_B2, student_BR), (teacher_B2, teacher_BR) = (
        _split(logits / temperature, labels_B) for logits in (student_logits_BC, teacher_logits_BC)
    )
    target = F.kl_div(student_B2, teacher_B2, reduction="batchmean", log_target=True)
    others = F.kl_div(student_BR, teacher_BR, reduction="batchmean", log_target=True)
    return target * temperature**2, others * temperature**2


def _split(logits_BC: Tensor, labels_B: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probabilities of the true class and the rest (Bx2), and of the R = C - 1 others among themselves (BxR)."""
    rest_R = torch.arange(logits_BC.shape[1] - 1, device=logits_BC.device)
    others_BR = logits_BC.gather(1, rest_R + (rest_R >= labels_B[:, None]))
    target_B1 = logits_BC.gather(1, labels_B[:, None])
    binary_B2 = torch.cat((target_B1, others_BR.logsumexp(dim=1, keepdim=True)), dim=1)
    return binary_B2.log_softmax(dim=1), others_BR.log_softmax(dim=1)


def build(inputs: MethodInputs) -> Method:
    """DKD with the literature's weights."""
    teacher, _ = inputs.the_teacher()
    return Dkd(inputs.student, teacher)
