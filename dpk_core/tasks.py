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
    """

    name: str
    direction: Literal["maximise", "minimise"]
    unit: str

    @property
    def measured_as(self) -> str:
        """Name of the measurement at the end of an epoch, on the validation split."""
        return f"validation_{self.name}"


METRICS: dict[TaskName, Metric] = {
    "classification": Metric(name="accuracy", direction="maximise", unit="%"),
    "detection": Metric(name="average_precision", direction="maximise", unit="points"),
}
"""The metric of each task."""
