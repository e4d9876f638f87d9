"""Learning rates as pure functions of the step, over the whole recipe: a run stopped early is a true prefix."""

from __future__ import annotations

import math

from dpk_core.spec import Recipe

MODULE_WARMUP_SHARE = 20 / 240
"""Distillation modules warm up over 20 of the authors' 240 CIFAR-100 epochs; other lengths scale."""

MODULE_FLOOR = 0.1
"""Distillation modules end at this part of their peak rate (the authors': 1e-4 to 1e-5)."""


def student_rate(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """Learning rate of the network being trained at `step`, counted from 0."""
    warmup = recipe.warmup_epochs * steps_per_epoch
    if step < warmup:
        return recipe.learning_rate * (step + 1) / warmup
    if recipe.schedule == "steps":
        passed = sum(milestone <= step // steps_per_epoch for milestone in recipe.milestones)
        return recipe.learning_rate * recipe.decay**passed
    return recipe.learning_rate * _cosine(step - warmup, recipe.epochs * steps_per_epoch - warmup)


def module_rate(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """Learning rate of the distillation modules at `step`: linear warm-up, then cosine down to a tenth."""
    total = recipe.epochs * steps_per_epoch
    warmup = round(total * MODULE_WARMUP_SHARE)
    if step < warmup:
        return recipe.module_learning_rate * (step + 1) / warmup
    return recipe.module_learning_rate * (MODULE_FLOOR + (1 - MODULE_FLOOR) * _cosine(step - warmup, total - warmup))


def _cosine(step: int, total: int) -> float:
    return 0.5 * (1 + math.cos(math.pi * step / total))
