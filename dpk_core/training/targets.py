"""What the labels of a step become before a method sees them: label smoothing and mixup, both as shares of classes.

Methods hand their labels to cross-entropy, which takes class numbers (B) or shares of each class (B x C) alike, so the
recipe's choice needs no word in any method.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor
from torch.nn import functional as F

from dpk_core.parallel.world import ALONE, World
from dpk_core.randomness import derive
from dpk_core.spec import Recipe


def make_targets(
    recipe: Recipe, pictures_BCHW: Tensor, labels_B: Tensor, classes: int, seed: int, step: int, world: World = ALONE
) -> tuple[Tensor, Tensor]:
    """The step's pictures and labels as the recipe wants them: both as they came where it has neither switch on, else
    pictures mixed in pairs and the share of each class, B x C.

    Where a world of several ranks mixes, the second half of what comes are the partners of the first, see `own_rows`.
    """
    if not recipe.label_smoothing and not recipe.mixup:
        return pictures_BCHW, labels_B
    shares_BC = F.one_hot(labels_B, classes).to(pictures_BCHW.dtype)
    if recipe.mixup:
        own = own_share(recipe.mixup, seed, step)
        # Batches are shuffled, so turning one round pairs its pictures by chance.
        pictures_BCHW, shares_BC = (_mixed(values, own, world) for values in (pictures_BCHW, shares_BC))
    return pictures_BCHW, shares_BC * (1 - recipe.label_smoothing) + recipe.label_smoothing / classes


def _mixed(values_B: Tensor, own: float, world: World) -> Tensor:
    mine_B, partners_B = (values_B, values_B.flip(0)) if world.size == 1 else values_B.chunk(2)
    return mine_B.lerp(partners_B, 1 - own)


def own_share(alpha: float, seed: int, step: int) -> float:
    """How much of itself a picture keeps in a step: λ of Beta(α, α) (Zhang et al., 1710.09412), the larger of λ and
    1 - λ. Both give the same pairs, as each picture of a pair is mixed with the other; this way a picture's own label
    stays its main one."""
    drawn = float(np.random.default_rng(derive(seed, "mixup", step)).beta(alpha, alpha))
    return max(drawn, 1 - drawn)
