"""What networks are trained to do, and the metric that each task's networks are judged by.

A task's evaluator (`dpk_core.training.evaluate`) gives a score and a number per picture whose mean is the score; that
is all that decisions, the store and the pages know of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

TaskName = Literal["classification", "detection"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """What a score says. Scores lie in 0 … 1; people see them times 100, in `unit`.

    `direction`: which scores are better. Decisions take the higher one: an evaluator of a metric that falls turns it.
    `margin`: the difference that does not matter, unless the person who asks says another one.
    """

    name: str
    direction: Literal["maximise", "minimise"]
    unit: str
    margin: float

    @property
    def measured_as(self) -> str:
        """Name of the measurement at the end of an epoch, on the validation split."""
        return f"validation_{self.name.replace(' ', '_')}"


BOXES = "boxes"
"""Data sets of boxes are named `boxes/<name>`."""

METRICS: dict[TaskName, Metric] = {
    "classification": Metric(name="accuracy", direction="maximise", unit="%", margin=0.003),
    "detection": Metric(name="average precision", direction="maximise", unit="points", margin=0.01),
}
"""The metric of each task."""


def task_of_data(dataset: str) -> TaskName:
    """What networks are trained to do on the data set of this name."""
    return "detection" if dataset.startswith(f"{BOXES}/") else "classification"
