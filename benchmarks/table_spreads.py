"""What tables show of the spreads that a belief is about: teachers about their line, a seed's luck by epoch, which part
of it is the luck of pictures, and how much of what a teacher adds it adds for both students of a data set. Moments, in
points; part of `benchmarks.prior`.

Legend: A arms with a teacher, S seeds, E epochs.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.replay import taught
from benchmarks.table import Table

Matrix = NDArray[np.float64]


def spreads(found: Table) -> dict[str, Any]:
    """Of one table: sd of a seed's luck after each epoch, in validation accuracy, and of teachers about their line, in
    test accuracy and without the luck of five seeds; 0 where that alone explains more."""
    arms = taught(found)
    accuracy_ASE = 100 * found.validation_right_ASEV[arms].mean(-1)
    residual_ASE = accuracy_ASE - accuracy_ASE.mean(0) - accuracy_ASE.mean(1, keepdims=True) + accuracy_ASE.mean((0, 1))
    freedom = (len(arms) - 1) * (accuracy_ASE.shape[1] - 1)
    luck_E = np.sqrt((residual_ASE**2).sum((0, 1)) / freedom)
    return {
        "table": found.name, "luck_by_epoch": np.round(luck_E, 2).tolist(),
        "off_line": round(float(np.sqrt(max(0.0, _variance(found)))), 2), "told_apart": round(told_apart(found), 3),
    }  # fmt: skip


def told_apart(found: Table) -> float:
    """Part of the variance of a validation picture's being told right, after the last epoch, that is one training's own
    and neither the picture's nor the arm's nor the seed's on it."""
    right_ASV = found.validation_right_ASEV[taught(found)][:, :, -1].astype(np.float64)
    own_ASV = right_ASV - right_ASV.mean(0) - right_ASV.mean(1, keepdims=True) + right_ASV.mean((0, 1))
    arms, seeds, pictures = right_ASV.shape
    own = (own_ASV**2).sum() / ((arms - 1) * (seeds - 1) * pictures)
    accuracy = float(right_ASV.mean())
    return float(own / (accuracy * (1 - accuracy)))


def shared(tables: Sequence[Table]) -> float | None:
    """Part of what teachers add beyond their lines that they add for both students of a data set and method, pooled
    over pairs of tables; None without a pair."""
    pairs = [
        (one, other)
        for one, other in itertools.combinations(tables, 2)
        if (one.told["fingerprint"], one.told["method"]) == (other.told["fingerprint"], other.told["method"])
    ]
    if not pairs:
        return None
    together = [float(_off_line(one) @ _off_line(other)) / (len(_off_line(one)) - 1) for one, other in pairs]
    variance = [(_variance(one) + _variance(other)) / 2 for one, other in pairs]
    return round(sum(together) / sum(variance), 2)


def _off_line(found: Table) -> Matrix:
    """What each teacher's students have beyond the line over teachers' test accuracies, in points of test accuracy."""
    arms = taught(found)
    x_A = np.array([found.told["arms"][index]["test_accuracy"] for index in arms])
    x_A = x_A - x_A.mean()
    y_A = 100 * (found.truth_A[arms] - found.truth_A[arms].mean())
    return np.asarray(y_A - x_A * float(x_A @ y_A) / float(x_A @ x_A))


def _variance(found: Table) -> float:
    off_A, luck_A = _off_line(found), 100 * found.truth_error_A[taught(found)]
    return float(off_A @ off_A) / (len(off_A) - 2) - float(np.mean(luck_A**2))
