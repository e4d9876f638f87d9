"""How large a share of its tokens the teacher hands over (method sheet, section 4)."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareRule:
    """π = 1 − CKA, with one rule for what the estimator may give.

    Where CKA is NaN, at most `least_cka` (so also where it is negative) or at least 1, π is `fallback`; everywhere else
    π = 1 − CKA, but not below `floor`. The authors' constants for CIFAR are the defaults.
    """

    floor: float = 0.15
    fallback: float = 0.9
    least_cka: float = 0.1

    def __call__(self, cka: Tensor) -> tuple[Tensor, Tensor]:
        """π and whether it is the fallback, of CKA's shape and on its device; no gradient, no host synchronisation."""
        cka = cka.detach().double()
        usable = (cka > self.least_cka) & (cka < 1)  # false for NaN
        share = torch.where(usable, (1 - cka).clamp(min=self.floor), self.fallback)
        return share, ~usable


CIFAR_SHARE = ShareRule()
IMAGENET_SHARE = ShareRule(floor=0.1, fallback=0.8)


def given_tokens(share: float, tokens: int) -> int:
    """floor(π·N): how many of a picture's N tokens the teacher hands over, 0 … N."""
    return math.floor(share * tokens)
