"""The benchmark of detectors' steps: every method takes its turn, and ratios are to feature MSE."""

from __future__ import annotations

import pytest

from benchmarks import detection_steps
from tests.unit.training.tiny_detection import RECIPE


def test_every_method_has_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detection_steps, "recipe", lambda _: RECIPE)
    rows = {row["method"]: row for row in detection_steps.measure(2)}
    assert list(rows) == ["none", "feature_mse", "fgd", "dpk probe", "dpk paper"]
    assert rows["feature_mse"]["times_feature_mse"] == 1
    assert all(row["milliseconds"] > 0 for row in rows.values())
