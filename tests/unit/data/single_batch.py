"""One batch of pictures of one's choice, for tests: a training's own batches follow from its seed."""

from __future__ import annotations

from torch import Tensor

from dpk_core.data.batches import _finished, _reading
from dpk_core.data.boxes import Targets
from dpk_core.data.rows import whole_batch
from dpk_core.data.split import ImageData
from dpk_core.spec import Recipe


def training_batch(
    data: ImageData, positions_B: Tensor, recipe: Recipe, seed: int, step: int
) -> tuple[Tensor, Targets]:
    """The pictures at `positions_B` as those of a step, with their labels or boxes."""
    rows = whole_batch(len(positions_B))
    reading = _reading(data, positions_B, recipe, seed, step, rows)
    return _finished(data, reading, positions_B, recipe, seed, step, rows)
