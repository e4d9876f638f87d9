"""A loss term that grows in."""

import pytest

from dpk_core.distill.method import StepContext
from dpk_core.distill.warm_up import warm_up


@pytest.mark.parametrize(("step", "factor"), [(0, 0.0), (10, 0.5), (20, 1.0), (21, 1.0), (240, 1.0)])
def test_grows_over_a_twelfth_of_the_training(step: int, factor: float) -> None:
    assert warm_up(StepContext(seed=0, step=step, total_steps=241)) == pytest.approx(factor)


def test_needs_the_length_of_the_training() -> None:
    with pytest.raises(ValueError, match="how many steps"):
        warm_up(StepContext(seed=0, step=3))
