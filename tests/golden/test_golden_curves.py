"""Today's training gives yesterday's numbers."""

from __future__ import annotations

import json

import pytest

from dpk_core.spec import MethodName
from tests.golden.curves import RECORDED, STEPS, curve
from tests.unit.training.tiny import METHODS

LOSS_TOLERANCE = 2e-3
"""Relative; between machines and versions of torch sums are rounded differently, and training amplifies that."""

FRACTION_TOLERANCE = 0.01
"""Absolute, for accuracies, shares and CKA: about five validation pictures."""


def near(name: str, wanted: float) -> object:
    """What counts as the same value of this measurement on another machine."""
    if name.startswith("share_fallback"):
        # Yes or no in each step: one step may fall to the other side of the threshold.
        return pytest.approx(wanted, abs=1.01 / STEPS)
    if "loss" in name or name.startswith("gradient."):
        return pytest.approx(wanted, rel=LOSS_TOLERANCE)
    return pytest.approx(wanted, abs=FRACTION_TOLERANCE)


@pytest.mark.parametrize("method", METHODS)
def test_the_recorded_curve_comes_again(method: MethodName) -> None:
    recorded = json.loads(RECORDED.read_text())[method]
    for epoch, (found, expected) in enumerate(zip(curve(method), recorded, strict=True), start=1):
        assert found.keys() == expected.keys()
        for name, value in found.items():
            wanted = expected[name]
            assert value == near(name, wanted), f"{name} in epoch {epoch}"


@pytest.mark.parametrize("method", METHODS)
def test_on_one_machine_a_curve_is_the_same_to_the_last_bit(method: MethodName) -> None:
    assert curve(method) == curve(method)
