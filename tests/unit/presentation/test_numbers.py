"""Numbers as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from service.presentation.numbers import age


@pytest.mark.parametrize(
    ("seconds", "said"), [(5, "just now"), (300, "5 min"), (3 * 3600, "3 h"), (47 * 3600, "47 h"), (50 * 3600, "2 d")]
)
def test_an_age_has_one_unit(seconds: int, said: str) -> None:
    assert age(datetime.now(UTC) - timedelta(seconds=seconds)) == said
