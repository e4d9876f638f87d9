"""The terms of losses that methods share (method sheet, sections 3 and 5)."""

import torch.nn.functional as F
from torch import Tensor

from dpk_core.distill.precision import full_precision


@full_precision
def logit_loss(student_logits_BC: Tensor, teacher_logits_BC: Tensor, temperature: float) -> Tensor:
    """T² · KL(teacher ‖ student) of the softened class probabilities, mean over pictures (Hinton et al., 1503.02531).

    Taken between log-probabilities, so it is exactly 0 for equal logits.
    """
    student_log_BC = F.log_softmax(student_logits_BC / temperature, dim=1)
    teacher_log_BC = F.log_softmax(teacher_logits_BC / temperature, dim=1)
    return F.kl_div(student_log_BC, teacher_log_BC, reduction="batchmean", log_target=True) * temperature**2


@full_precision
def feature_mse(student_BCHW: Tensor, teacher_BCHW: Tensor) -> Tensor:
    """Mean squared error over all values of two maps of one shape."""
    return F.mse_loss(student_BCHW, teacher_BCHW)
