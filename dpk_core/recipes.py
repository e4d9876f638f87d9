"""Recipes as code, each a function of its epochs and batch size; nothing is read from files or the environment."""

from __future__ import annotations

from dataclasses import replace

from dpk_core.spec import Recipe

RECIPES: dict[str, Recipe] = {
    # Seconds per run on one CPU core. In so few steps DPK's modules need a higher rate than the authors'.
    "digits": Recipe(
        name="digits", epochs=24, batch_size=64, learning_rate=0.05, momentum=0.9, weight_decay=5e-4,
        schedule="cosine", warmup_epochs=1, augmentation="shift", module_learning_rate=1e-3,
    ),
    # Method sheet, section 7: 240 epochs, SGD .05, x.1 at 150/180/210, crop and flip, clip 1.
    "cifar100": Recipe(
        name="cifar100", epochs=240, batch_size=64, learning_rate=0.05, momentum=0.9, weight_decay=5e-4,
        schedule="steps", milestones=(150, 180, 210), clip_norm=1.0, augmentation="crop_flip",
    ),
    # A short budget for small real data sets on a CPU.
    "small": Recipe(
        name="small", epochs=30, batch_size=128, learning_rate=0.05, momentum=0.9, weight_decay=5e-4,
        schedule="cosine", warmup_epochs=1, augmentation="shift", module_learning_rate=1e-3,
    ),
}  # fmt: skip
"""Every recipe by name."""


def recipe(name: str, *, epochs: int | None = None, batch_size: int | None = None) -> Recipe:
    """The recipe `name`, with milestones scaled when `epochs` differs from the recipe's own.

    Raises KeyError for an unknown name.
    """
    base = RECIPES[name]
    total = base.epochs if epochs is None else epochs
    return replace(
        base,
        epochs=total,
        batch_size=base.batch_size if batch_size is None else batch_size,
        warmup_epochs=min(base.warmup_epochs, total - 1),
        milestones=tuple(max(1, round(milestone * total / base.epochs)) for milestone in base.milestones),
    )
