"""Knowledge distillation through class probabilities (Hinton et al., 1503.02531)."""

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from dpk_core.distill.inputs import MethodInputs
from dpk_core.distill.losses import logit_loss
from dpk_core.distill.method import Method, StepContext, StepOutcome, outcome
from dpk_core.dpk_settings import KdSettings


class Kd(Method):
    """L = γ·CE + α·T²·KL(teacher ‖ student)."""

    name: ClassVar[str] = "kd"
    needs_teacher: ClassVar[bool] = True

    def __init__(self, student: nn.Module, teacher: nn.Module, settings: KdSettings | None = None) -> None:
        super().__init__(student, teacher)
        self.settings = settings or KdSettings()

    def forward(self, pictures_BCHW: Tensor, labels_B: Tensor, step: StepContext) -> StepOutcome:  # noqa: ARG002 - no chance
        """Parts: `loss_class`, `loss_logits`, before their weights."""
        teacher_logits_BC = self.ask_teacher(pictures_BCHW)
        logits_BC = self.student(pictures_BCHW)
        loss_class = F.cross_entropy(logits_BC, labels_B)
        settings = self.settings
        loss_logits = logit_loss(logits_BC, teacher_logits_BC, settings.temperature)
        terms = {"class": settings.class_weight * loss_class, "logits": settings.logit_weight * loss_logits}
        return outcome(terms, logits_BC, {"loss_class": loss_class, "loss_logits": loss_logits})


def build(inputs: MethodInputs) -> Method:
    """KD under the run's settings, or with the literature's."""
    teacher, _ = inputs.the_teacher()
    return Kd(inputs.student, teacher, inputs.spec.kd)
