"""Numbers as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from service.presentation.numbers import age, gain_bounds, gain_in_words, gain_value, least_gain
from service.wire.boards import Interval


@pytest.mark.parametrize(
    ("seconds", "said"), [(5, "just now"), (300, "5 min"), (3 * 3600, "3 h"), (47 * 3600, "47 h"), (50 * 3600, "2 d")]
)
def test_an_age_has_one_unit(seconds: int, said: str) -> None:
    assert age(datetime.now(UTC) - timedelta(seconds=seconds)) == said


@pytest.mark.parametrize(
    ("value", "low", "high", "said"),
    [
        (0.0304, 0.0004, 0.0604, "3.04 points (90% interval 0.04 to 6.04)"),
        (0.0304, 0.0104, 0.0604, "3.0 points (90% interval 1.0 to 6.0)"),
        (-0.012, -0.025, -0.00002, "−1.200 points (90% interval −2.500 to −0.002)"),
        (0.0, -0.02, 0.02, "0.0 points (90% interval −2.0 to 2.0)"),
        (0.01, 1e-17, 0.02, "1.0 points (90% interval 0.0 to 2.0)"),
    ],
)
def test_a_gain_is_spelled_alike_everywhere_and_an_end_beside_0_is_not_0(
    value: float, low: float, high: float, said: str
) -> None:
    gain = Interval(value=value, low=low, high=high, confidence=0.9)
    assert gain_in_words(gain) == said
    table = f"{gain_value(gain)} points (90% interval {gain_bounds(gain)})"
    assert table.replace("+", "") == said
    assert least_gain(gain) == gain_bounds(gain).split()[0].lstrip("+")
