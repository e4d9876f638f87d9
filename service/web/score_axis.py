"""How charts write scores: accuracies in percent, average precision in points."""

from __future__ import annotations

from collections.abc import Mapping

from dpk_core.tasks import Metric
from service.presentation.metric_words import words_of
from service.web.charts import Spec, tooltip

PERCENT: Spec = {"format": "%"}
"""Labels of an axis of fractions. Without a number of decimals Vega writes as many as its ticks need to differ."""


def score_axis(metric: Metric) -> Spec:
    """The labels of an axis of scores in 0 … 1."""
    return PERCENT if metric.unit == "%" else PERCENT | {"labelExpr": "replace(datum.label, '%', '')"}


def score_tooltips(metric: Metric, titles: Mapping[str, str]) -> tuple[list[Spec], list[Spec]]:
    """Lines of what pointing shows, for fields that hold scores, and the transforms of their layer that these need."""
    if metric.unit == "%":
        return [tooltip(field, title, ".2%") for field, title in titles.items()], []
    said = f"format(100 * datum.{{0}}, '.2f') + '{words_of(metric).unit}'"
    return [tooltip(f"said_{field}", title) for field, title in titles.items()], [
        {"calculate": f"isValid(datum.{field}) ? {said.format(field)} : ''", "as": f"said_{field}"} for field in titles
    ]
