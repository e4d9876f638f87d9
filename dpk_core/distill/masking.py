"""Which tokens the teacher hands over: drawn anew per picture and step, from the step's own generator.

Legend: B pictures, N tokens of a map, K of them given by the teacher.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from dpk_core.data.to_device import to_device
from dpk_core.randomness import derive


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSplit:
    """A split of each picture's token positions between teacher and student.

    `order_BN`: the positions, first the `given` ones of the teacher. `restore_BN` undoes it: entry j of a picture says
    where position j stands in that order.
    """

    order_BN: Tensor
    restore_BN: Tensor
    given: int

    @property
    def mask_BN(self) -> Tensor:
        """M: True where the token is the teacher's."""
        return self.restore_BN < self.given


def draw_noise(pictures: int, tokens: int, *, seed: int, step: int, stage: str, device: torch.device) -> Tensor:
    """Uniform noise BxN that depends on (seed, step, stage) only.

    Drawn on the CPU on every device, so masks agree between a CPU and a GPU; global random state is untouched.
    """
    generator = torch.Generator().manual_seed(derive(seed, "mask", step, stage))
    return to_device(torch.rand(pictures, tokens, generator=generator), device)


def split_tokens(noise_BN: Tensor, given: int) -> TokenSplit:
    """Gives the teacher the `given` positions of least noise in each picture, 0 … N of them."""
    order_BN = noise_BN.argsort(dim=1, stable=True)
    # What undoes a permutation is the order that sorts it; on a GPU a deterministic scatter sorts as well, and more.
    return TokenSplit(order_BN=order_BN, restore_BN=order_BN.argsort(dim=1), given=given)
