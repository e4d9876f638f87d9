"""Spreads of tables are found again."""

from __future__ import annotations

import pytest

from benchmarks.table_spreads import shared, spreads
from tests.unit.benchmarks.made_up_table import made_up

TEACHERS = (0.80, 0.84, 0.88, 0.92, 0.96)
ON_THE_LINE = (0.5, 0.5, 0.55, 0.6, 0.65, 0.7)
OFF_THE_LINE = (0.5, 0.55, 0.5, 0.65, 0.6, 0.7)


def test_teachers_about_their_line_and_luck_are_told_in_points() -> None:
    near, far = (spreads(made_up("one-dpk", 0, levels, TEACHERS)) for levels in (ON_THE_LINE, OFF_THE_LINE))
    assert near["off_line"] < 1 < far["off_line"]
    assert far["off_line"] == pytest.approx(4.5, abs=1.5)
    assert all(0 < luck < 10 for luck in near["luck_by_epoch"])


def test_what_teachers_add_for_both_students_is_shared() -> None:
    one = made_up("one-dpk", 0, OFF_THE_LINE, TEACHERS)
    alike = made_up("one-dpk", 1, [level + 0.1 for level in OFF_THE_LINE], TEACHERS)
    elsewhere = made_up("two-dpk", 2, OFF_THE_LINE, TEACHERS)
    assert shared([one, alike, elsewhere]) == pytest.approx(1, abs=0.3)
    opposite = made_up(
        "one-dpk", 3, [2 * on - off for on, off in zip(ON_THE_LINE, OFF_THE_LINE, strict=True)], TEACHERS
    )
    found = shared([one, opposite])
    assert found is not None
    assert found < 0
    assert shared([one, elsewhere]) is None
