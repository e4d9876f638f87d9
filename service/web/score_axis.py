"""How charts write scores: accuracies in percent, average precision in points."""

from __future__ import annotations

from collections.abc import Mapping

from dpk_core.tasks import Metric
from service.presentation.metric_words import words_of
from service.web.charts import Spec, tooltip


def score_axis(metric: Metric, digits: int) -> Spec:
    """The labels of an axis of scores in 0 … 1."""
    if metric.unit == "%":
        return {"format": f".{digits}%"}
    return {"labelExpr": f"format(100 * datum.value, '.{digits}f')"}


def told_scores(metric: Metric, titles: Mapping[str, str]) -> tuple[list[Spec], list[Spec]]:
    """Lines of what pointing shows, for fields that hold scores, and the transforms of their layer that these need."""
    if metric.unit == "%":
        return [tooltip(field, title, ".2%") for field, title in titles.items()], []
    said = f"format(100 * datum.{{0}}, '.2f') + '{words_of(metric).unit}'"
    return [tooltip(f"said_{field}", title) for field, title in titles.items()], [
        {"calculate": f"isValid(datum.{field}) ? {said.format(field)} : ''", "as": f"said_{field}"} for field in titles
    ]
