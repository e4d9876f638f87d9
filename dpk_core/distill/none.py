"""No teacher: plain cross-entropy, the arm that every teacher is compared with."""

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from dpk_core.distill.inputs import MethodInputs
from dpk_core.distill.method import Method, StepContext, StepOutcome, outcome


class NoTeacher(Method):
    """L = CE."""

    name: ClassVar[str] = "none"
    needs_teacher: ClassVar[bool] = False

    def forward(self, pictures_BCHW: Tensor, labels_B: Tensor, step: StepContext) -> StepOutcome:  # noqa: ARG002 - no chance
        """Part: `loss_class`."""
        logits_BC = self.student(pictures_BCHW)
        loss_class = F.cross_entropy(logits_BC, labels_B)
        return outcome({"class": loss_class}, logits_BC, {"loss_class": loss_class})


def build(inputs: MethodInputs) -> Method:
    """Plain training. Raises ValueError when there is a teacher."""
    if inputs.teacher is not None:
        raise ValueError("method 'none' takes no teacher")
    return NoTeacher(inputs.student)
