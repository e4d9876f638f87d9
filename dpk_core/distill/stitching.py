"""Taking tokens from their positions and putting them back. B pictures, K of N tokens, D channels."""

import torch
from torch import Tensor

from dpk_core.distill.masking import TokenSplit


def take(tokens_BND: Tensor, positions_BK: Tensor) -> Tensor:
    """The tokens at each picture's own positions, BxKxD."""
    return tokens_BND.gather(1, positions_BK[:, :, None].expand(-1, -1, tokens_BND.shape[2]))


def stitch(teacher_BKD: Tensor, student_BN_KD: Tensor, split: TokenSplit) -> Tensor:
    """The hybrid sequence BxNxD: the teacher's tokens at M, the student's at ~M, each at its true position."""
    return take(torch.cat((teacher_BKD, student_BN_KD), dim=1), split.restore_BN)
