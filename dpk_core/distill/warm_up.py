"""A loss term that grows in, as the reference implementations of DKD and ReviewKD have it."""

from dpk_core.distill.method import StepContext

WARM_UP_SHARE = 20 / 240
"""20 of their 240 CIFAR-100 epochs; other lengths scale."""


def warm_up(step: StepContext) -> float:
    """The term's factor: from 0 in the first step of the training to 1, linearly. Raises ValueError when the step does
    not know the length of the training."""
    return min(step.fraction / WARM_UP_SHARE, 1.0)
