"""Recipes as code, each a function of its epochs and batch size; nothing is read from files or the environment."""

from __future__ import annotations

from dataclasses import replace

from dpk_core.spec import LEAST_BATCH, Recipe

CIFAR100 = Recipe(
    name="cifar100", epochs=240, batch_size=64, learning_rate=0.05, momentum=0.9, weight_decay=5e-4,
    schedule="steps", milestones=(150, 180, 210), augmentation="crop_flip",
)  # fmt: skip
"""The literature's usual one: no mixup, no label smoothing, no clipping (method sheet, section 7)."""

CIFAR100_PAPER = replace(CIFAR100, name="cifar100_paper", clip_norm=1.0, label_smoothing=0.1, mixup=0.2)
"""The defaults of the authors of DPK (method sheet, section 7)."""

IMAGENET = Recipe(
    name="imagenet", epochs=100, batch_size=8 * 256, learning_rate=0.1, momentum=0.9, weight_decay=1e-4,
    schedule="steps", milestones=(25, 50, 75), decay=0.5, augmentation="resized_crop_flip", randaugment=9, erasing=0.25,
    accumulation=2, nesterov=False,
)  # fmt: skip
"""The paper's for ImageNet as far as it goes here. Its 8 x 256 pictures with accumulation 2 are read as an update of
2048 in two parts, so CKA sees 1024. RandAugment's magnitude and the probability of erasing are not handed down; 9 and
.25 are the usual ones. Not in it: the pretrained checkpoint that the authors' student starts from. Results under it are
therefore not like for like with theirs."""

DIGITS = Recipe(
    name="digits", epochs=24, batch_size=64, learning_rate=0.05, momentum=0.9, weight_decay=5e-4,
    schedule="cosine", warmup_epochs=1, augmentation="shift", module_learning_rate=1e-3,
)  # fmt: skip
"""Seconds per run on one CPU core. In so few steps DPK's modules need a higher rate than the authors'."""

SMALL = replace(DIGITS, name="small", epochs=30, batch_size=128)
"""A short budget for small real data sets on a CPU."""

FINE_TUNING_RATE = 0.1
"""Part of a recipe's learning rate by which trained weights are trained on; the whole of it would undo them."""

AS_IS = Recipe(
    name="as_is", epochs=0, batch_size=1, learning_rate=0.0, momentum=0.0, weight_decay=0.0, schedule="cosine",
)  # fmt: skip
"""No training. The same whatever the job's recipe, so that weights are judged on a data set once."""

LEAST_PART = max(least for least, _ in LEAST_BATCH.values())
"""Pictures that a part of an accumulated batch keeps, so that it is enough for every method."""

RECIPES: dict[str, Recipe] = {entry.name: entry for entry in (DIGITS, CIFAR100, CIFAR100_PAPER, IMAGENET, SMALL)}
"""Every recipe by name."""


def fine_tuning(base: Recipe) -> Recipe:
    """The recipe by which trained weights are trained on."""
    return replace(base, name=f"{base.name}_fine_tuning", learning_rate=FINE_TUNING_RATE * base.learning_rate)


def recipe(name: str, *, epochs: int | None = None, batch_size: int | None = None) -> Recipe:
    """The recipe `name`, with milestones scaled when `epochs` differs from the recipe's own, and in fewer parts when
    those of `batch_size` would be too small for CKA.

    Raises KeyError for an unknown name.
    """
    base = RECIPES[name]
    total = base.epochs if epochs is None else epochs
    pictures = base.batch_size if batch_size is None else batch_size
    return replace(
        base,
        epochs=total,
        batch_size=pictures,
        accumulation=min(base.accumulation, max(1, pictures // LEAST_PART)),
        warmup_epochs=min(base.warmup_epochs, total - 1),
        milestones=tuple(max(1, round(milestone * total / base.epochs)) for milestone in base.milestones),
    )
