"""What cannot be known is refused where it enters."""

from __future__ import annotations

import math

import pytest

from dpk_core.selection.knowledge import Arm
from tests.unit.selection.made_up import arm


@pytest.mark.parametrize("curve", [(0.5, math.nan), (math.inf,)])
def test_a_curve_that_is_no_number_is_refused_by_name(curve: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"teacher1: .* must be finite"):
        arm(1, {0: (0.4,), 1: curve})


def test_so_is_a_teacher_or_a_cost() -> None:
    with pytest.raises(ValueError, match="finite"):
        arm(1, accuracy=math.nan)
    with pytest.raises(ValueError, match="no teacher: "):
        Arm(teacher=None, cost=math.inf)
