"""CKA over the batches of several steps, for tasks whose batches are too small for one of a single step.

Of a batch of 4 pictures, as detectors are trained on, CKA is mostly noise, and undefined in many steps. The three
terms of HSIC1 are unbiased each, so they are summed over the last steps before one is divided by the others: 32 batches
of 4 pictures are about as good as one of 16.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dpk_core.distill.cka import cka_of_terms, hsic_terms


class RunningCka(nn.Module):
    """CKA of one stage over its last `steps` batches. What it keeps is in its state, and so in checkpoints.

    The maps of earlier steps came from an earlier student, so CKA lags behind by half of the steps.
    """

    terms_S3: Tensor
    seen: Tensor

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.register_buffer("terms_S3", torch.zeros(steps, 3, dtype=torch.float64))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    def forward(self, student_BCHW: Tensor, teacher_BCHW: Tensor) -> Tensor:
        """Takes in a batch and gives the CKA of the last ones: 0-dim float64, NaN where undefined, no gradient.

        No host synchronisation. Raises ValueError below 4 pictures.
        """
        place = (self.seen % len(self.terms_S3)).reshape(1)
        self.terms_S3.index_copy_(0, place, hsic_terms(student_BCHW, teacher_BCHW)[None])
        self.seen += 1
        return cka_of_terms(self.terms_S3.sum(dim=0))
