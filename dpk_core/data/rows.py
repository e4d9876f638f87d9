"""Which of a step's pictures this process sees. Chance is drawn for the whole batch and cut, so how many processes
share a batch changes no picture in it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dpk_core.errors import InvalidRequest
from dpk_core.parallel.world import World
from dpk_core.spec import Recipe


@dataclass(frozen=True, slots=True)
class BatchRows:
    """The rows `places_B` (on the CPU) of a batch of `total` pictures."""

    total: int
    places_B: Tensor


def whole_batch(total: int) -> BatchRows:
    """All rows."""
    return BatchRows(total, torch.arange(total))


def own_rows(recipe: Recipe, world: World) -> BatchRows:
    """A rank's rows: its share of each part of an update, part after part. Where pictures are mixed in pairs and there
    are several ranks, the partners of all of them follow.

    Raises InvalidRequest when the ranks cannot have equal shares.
    """
    rows_B = torch.arange(recipe.batch_size)
    if world.size == 1:
        return BatchRows(recipe.batch_size, rows_B)
    share = recipe.accumulation * world.size
    if recipe.batch_size % share:
        parts = f"{recipe.accumulation} parts for " if recipe.accumulation > 1 else ""
        raise InvalidRequest(
            "budget.batch_size",
            f"{recipe.batch_size} pictures cannot be shared evenly by {parts}{world.size} devices.",
            str(max(1, round(recipe.batch_size / share)) * share),
        )
    own_B = torch.cat([world.own(part_P) for part_P in rows_B.chunk(recipe.accumulation)])
    partners = [recipe.batch_size - 1 - own_B] if recipe.mixup or recipe.cutmix else []
    return BatchRows(recipe.batch_size, torch.cat([own_B, *partners]))
