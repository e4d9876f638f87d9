"""Knowledge distillation through class probabilities (Hinton et al., 1503.02531)."""

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from dpk_core.distill.inputs import MethodInputs
from dpk_core.distill.losses import logit_loss
from dpk_core.distill.method import Method, StepContext, StepOutcome, outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class KdOptions:
    """Weights of the terms and the temperature, as behind the KD rows of the CIFAR-100 tables (CRD, 1910.10699)."""

    class_weight: float = 0.1
    logit_weight: float = 0.9
    temperature: float = 4.0


class Kd(Method):
    """L = γ·CE + α·T²·KL(teacher ‖ student)."""

    name: ClassVar[str] = "kd"
    needs_teacher: ClassVar[bool] = True

    def __init__(self, student: nn.Module, teacher: nn.Module, options: KdOptions | None = None) -> None:
        super().__init__(student, teacher)
        self.options = options or KdOptions()

    def forward(self, pictures_BCHW: Tensor, labels_B: Tensor, step: StepContext) -> StepOutcome:  # noqa: ARG002 - no chance
        """Parts: `loss_class`, `loss_logits`, before their weights."""
        teacher_logits_BC = self.ask_teacher(pictures_BCHW)
        logits_BC = self.student(pictures_BCHW)
        loss_class = F.cross_entropy(logits_BC, labels_B)
        loss_logits = logit_loss(logits_BC, teacher_logits_BC, self.options.temperature)
        total = self.options.class_weight * loss_class + self.options.logit_weight * loss_logits
        return outcome(total, logits_BC, {"loss_class": loss_class, "loss_logits": loss_logits})


def build(inputs: MethodInputs) -> Method:
    """KD with the literature's weights."""
    teacher, _ = inputs.the_teacher()
    return Kd(inputs.student, teacher)
