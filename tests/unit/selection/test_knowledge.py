"""What cannot be known is refused where it enters."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from dpk_core.selection.decide.job_results import Arm, Step, is_free, step_cost
from tests.unit.selection.made_up import arm, job, name


@pytest.mark.parametrize("curve", [(0.5, math.nan), (math.inf,)])
def test_a_curve_that_is_no_number_is_refused_by_name(curve: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"teacher1: .* must be finite"):
        arm(1, {0: (0.4,), 1: curve})


def test_so_is_a_teacher_or_a_cost() -> None:
    with pytest.raises(ValueError, match="finite"):
        arm(1, accuracy=math.nan)
    with pytest.raises(ValueError, match="no teacher: "):
        Arm(teacher=None, cost=math.inf)
    with pytest.raises(ValueError, match="teacher1: a full training must cost something"):
        Arm(teacher=name(1), cost=0.0)


@pytest.mark.parametrize(("reached", "costs"), [(0, [0.0, 0.0, 0.7, 2.2]), (3, [0.0, 0.0, 0.0, 2.0])])
def test_a_step_costs_what_neither_the_job_nor_the_store_has(reached: int, costs: list[float]) -> None:
    # Finished up to the second rung; one that was cancelled left a checkpoint between the third and the last.
    begun = replace(arm(0, {1: (0.5,) * reached}), cost=4.0, stored={1: (0.125, 0.25, 0.325, 0.45)})
    steps = [Step(teacher=name(0), seed=1, rung=rung) for rung in range(4)]
    assert [step_cost(job(begun), step) for step in steps] == pytest.approx(costs)
    assert [is_free(job(begun), step) for step in steps] == [True, True, False, False]
    assert not is_free(job(begun), Step(teacher=name(0), seed=2, rung=0))
