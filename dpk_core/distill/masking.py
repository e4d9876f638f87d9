"""Which tokens the teacher hands over: drawn anew per picture and step, from the step's own generator.

Legend: B pictures, N tokens of a map, K of them given by the teacher.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from dpk_core.randomness import derive


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSplit:
    """A split of each picture's token positions between teacher (`given_BK`) and student (`kept_BN_K`).

    `restore_BN` undoes the split: entry j of a picture says where position j stands in (given, kept) put end to end.
    """

    given_BK: Tensor
    kept_BN_K: Tensor
    restore_BN: Tensor

    @property
    def mask_BN(self) -> Tensor:
        """M: True where the token is the teacher's."""
        return self.restore_BN < self.given_BK.shape[1]


def draw_noise(pictures: int, tokens: int, *, seed: int, step: int, stage: str, device: torch.device) -> Tensor:
    """Uniform noise BxN that depends on (seed, step, stage) only.

    Drawn on the CPU on every device, so masks agree between a CPU and a GPU; global random state is untouched.
    """
    generator = torch.Generator().manual_seed(derive(seed, "mask", step, stage))
    return torch.rand(pictures, tokens, generator=generator).to(device, non_blocking=True)


def split_tokens(noise_BN: Tensor, given: int) -> TokenSplit:
    """Gives the teacher the `given` positions of least noise in each picture, 0 … N of them."""
    order_BN = noise_BN.argsort(dim=1, stable=True)
    return TokenSplit(given_BK=order_BN[:, :given], kept_BN_K=order_BN[:, given:], restore_BN=order_BN.argsort(dim=1))
