"""Scores in the words of their metric: accuracies in percent, average precision in points of AP."""

from __future__ import annotations

from dataclasses import dataclass

from dpk_core.tasks import METRICS, Metric, TaskName
from service.presentation.numbers import NO_BREAK, NOTHING, margin_in_words


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricWords:
    """`name`: in a sentence. `unit`: behind a score; `scale`: of an axis of scores; `points`: behind a difference.
    `…_no_better`: what networks do that have learned nothing, after one name or several; `guessing`: what they are
    compared with."""

    name: str
    unit: str
    scale: str
    points: str
    one_no_better: str
    several_no_better: str
    one_better: str
    guessing: str

    def score(self, value: float | None, digits: int = 1) -> str:
        """A score in 0 … 1 as people read it, e.g. `94.4%` or `42.1 AP`; an en dash for None."""
        return NOTHING if value is None else f"{100 * value:.{digits}f}{self.unit}"

    def margin(self, margin: float) -> str:
        """A margin as it was asked for: `0.3 points`, `1 point of AP`."""
        value = margin_in_words(margin)
        return f"{value} {self.points.replace('points', 'point') if value == '1' else self.points}"

    def mean_and_spread(self, mean: float, deviation: float | None) -> str:
        """`94.44% ± 0.52`, `42.10 AP ± 0.52`; the mean alone for a single seed."""
        text = self.score(mean, 2)
        return text if deviation is None else f"{text} ± {100 * deviation:.2f}"

    def interval(self, low: float, high: float) -> str:
        """`93.1 to 95.2%`, `41.0 to 43.2 AP`."""
        return f"{100 * low:.1f} to {self.score(high)}"


ACCURACY = MetricWords(
    name="accuracy", unit="%", scale="percent", points="points",
    one_no_better="tells the classes no better than chance",
    several_no_better="tell the classes no better than chance",
    one_better="tells the classes better than chance",
    guessing="where always naming the most frequent class gets",
)  # fmt: skip
AVERAGE_PRECISION = MetricWords(
    name="AP", unit=f"{NO_BREAK}AP", scale="points", points="points of AP",
    one_no_better="finds no more boxes than chance would",
    several_no_better="find no more boxes than chance would",
    one_better="finds more boxes than chance would",
    guessing="where boxes that ignore the picture get",
)  # fmt: skip
WORDS: dict[TaskName, MetricWords] = {"classification": ACCURACY, "detection": AVERAGE_PRECISION}


def words_of(metric: Metric) -> MetricWords:
    """The words of a metric."""
    return next(WORDS[task] for task, each in METRICS.items() if each.name == metric.name)


def words_of_task(task: str) -> MetricWords:
    """The words of the metric of a job's task, as its row names it."""
    return next(words for name, words in WORDS.items() if name == task)
