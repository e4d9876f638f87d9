"""Tables with a known truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.table import Table

TRUTH = (0.7, 0.75, 0.8, 0.85, 0.78)
"""Of no teacher and of four teachers."""
SEEDS, EPOCHS, PICTURES = 5, 8, 500


def made_up(
    name: str = "made_up-dpk", seed: int = 0, truth: Sequence[float] = TRUTH, teachers: Sequence[float] | None = None
) -> Table:
    """A table whose pictures are coins of the arms' true rates; `teachers` have .9 where nothing else is said."""
    chance = np.random.Generator(np.random.PCG64(seed))

    def right(rates: NDArray[np.float64]) -> NDArray[np.bool_]:
        return chance.random((*rates.shape, PICTURES)) < rates[..., None]

    final_AS = np.array(truth)[:, None] + np.zeros(SEEDS)
    curve_ASE = final_AS[..., None] - 0.3 * (1 - np.arange(1, EPOCHS + 1) / EPOCHS)
    own = teachers or [0.9] * (len(truth) - 1)
    arms: list[dict[str, Any]] = [{"teacher": None}]
    arms += [
        {"teacher": f"family/teacher{index}", "validation_accuracy": accuracy, "test_accuracy": accuracy}
        for index, accuracy in enumerate(own)
    ]
    metadata = {
        "name": name, "dataset": "data", "fingerprint": name.rpartition("-")[0],
        "method": name.rpartition("-")[2], "seeds": list(range(SEEDS)), "arms": arms,
        "validation_pictures": PICTURES, "test_pictures": PICTURES,
    }  # fmt: skip
    shape = (len(truth), SEEDS, EPOCHS)
    return Table(
        metadata=metadata, validation_right_ASEV=right(curve_ASE), test_right_ASN=right(final_AS),
        seconds_ASE=np.ones(shape, np.float32), train_loss_ASE=np.ones(shape, np.float32),
    )  # fmt: skip
