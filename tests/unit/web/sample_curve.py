"""Learning curves for the sample leaderboard."""

from __future__ import annotations

import math
from typing import Literal

from service.wire.boards import Curve, CurvePoint


def curve(
    index: int, label: str, purpose: Literal["teacher", "student"], seed: int, end: float, epochs: int, *, shares: bool
) -> Curve:
    points = []
    for epoch in range(1, epochs + 1):
        wobble = 0.02 * math.sin(5 * epoch + 1.7 * seed + index) / epoch
        values = {"validation_accuracy": end - 0.75 * math.exp(-epoch / 3.2) + wobble, "train_loss": 2.3 / epoch}
        if shares:
            values["share.last"] = 0.2 + 0.25 * math.exp(-epoch / 5) + 0.02 * index + wobble
            values |= {
                "gradient.class": 1.5 / epoch,
                "gradient.logits": 0.6 / epoch,
                "gradient.features": 0.02 + wobble / 50,
            }
            values["share.second_last"] = 0.26 + 0.45 * math.exp(-epoch / 6) + 0.03 * index + wobble
        points.append(CurvePoint(epoch=epoch, values=values))
    return Curve(
        candidate_id=100 + index, label=label, purpose=purpose, seed=seed, points=points,
    )  # fmt: skip
