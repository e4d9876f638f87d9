"""What the labels of a step become before a method sees them: label smoothing, mixup and CutMix, as shares of classes.

Methods hand their labels to cross-entropy, which takes class numbers (B) or shares of each class (B x C) alike, so the
recipe's choice needs no word in any method.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor
from torch.nn import functional as F

from dpk_core.data.boxes import Targets
from dpk_core.parallel.world import ALONE, World
from dpk_core.randomness import derive
from dpk_core.spec import Recipe


def make_targets(
    recipe: Recipe, pictures_BCHW: Tensor, labels_B: Targets, classes: int, seed: int, step: int, world: World = ALONE
) -> tuple[Tensor, Targets]:
    """The step's pictures and labels as the recipe wants them: both as they came where it has neither switch on, else
    pictures mixed in pairs and the share of each class, B x C.

    Where a world of several ranks mixes, the second half of what comes are the partners of the first, see `own_rows`.
    """
    if not (recipe.label_smoothing or recipe.mixup or recipe.cutmix):
        return pictures_BCHW, labels_B
    assert isinstance(labels_B, Tensor)  # a recipe of boxes has no switch
    shares_BC = F.one_hot(labels_B, classes).to(pictures_BCHW.dtype)
    if recipe.mixup or recipe.cutmix:
        pictures_BCHW, partners_BCHW = _with_partners(pictures_BCHW, world)
        shares_BC, partners_BC = _with_partners(shares_BC, world)
        if _cuts(recipe, seed, step):
            pictures_BCHW, own = cut_in(pictures_BCHW, partners_BCHW, recipe.cutmix, seed, step)
        else:
            own = own_share(recipe.mixup, seed, step)
            pictures_BCHW = pictures_BCHW.lerp(partners_BCHW, 1 - own)
        shares_BC = shares_BC.lerp(partners_BC, 1 - own)
    return pictures_BCHW, shares_BC * (1 - recipe.label_smoothing) + recipe.label_smoothing / classes


def _with_partners(values_B: Tensor, world: World) -> tuple[Tensor, Tensor]:
    """Batches are shuffled, so turning one round pairs its pictures by chance."""
    if world.size == 1:
        return values_B, values_B.flip(0)
    own_B, partners_B = values_B.chunk(2)
    return own_B, partners_B


def _cuts(recipe: Recipe, seed: int, step: int) -> bool:
    """Whether the step is CutMix's: each step of a recipe that has both draws one."""
    if recipe.mixup and recipe.cutmix:
        return float(np.random.default_rng(derive(seed, "mixup or cutmix", step)).random()) < 0.5
    return recipe.cutmix > 0


def own_share(alpha: float, seed: int, step: int) -> float:
    """How much of itself a picture keeps in a step: λ of Beta(α, α) (Zhang et al., 1710.09412), the larger of λ and
    1 - λ. Both give the same pairs, as each picture of a pair is mixed with the other; this way a picture's own label
    stays its main one."""
    drawn = float(np.random.default_rng(derive(seed, "mixup", step)).beta(alpha, alpha))
    return max(drawn, 1 - drawn)


def cut_in(pictures_BCHW: Tensor, partners_BCHW: Tensor, alpha: float, seed: int, step: int) -> tuple[Tensor, float]:
    """CutMix (Yun et al., 1905.04899): one rectangle of each picture is its partner's, at the same place, and the share
    of the area that stays the picture's own.

    The rectangle has the picture's aspect ratio and 1 - λ of its area (see `own_share`), less where the edge cuts it.
    """
    height, width = pictures_BCHW.shape[-2:]
    side = (1 - own_share(alpha, seed, step)) ** 0.5
    middle = np.random.default_rng(derive(seed, "cutmix", step)).random(2)
    (top, bottom), (left, right) = (
        (max(round(at * whole - side * whole / 2), 0), min(round(at * whole + side * whole / 2), whole))
        for at, whole in zip(middle, (height, width), strict=True)
    )
    mixed_BCHW = pictures_BCHW.clone()
    mixed_BCHW[..., top:bottom, left:right] = partners_BCHW[..., top:bottom, left:right]
    return mixed_BCHW, 1 - (bottom - top) * (right - left) / (height * width)
