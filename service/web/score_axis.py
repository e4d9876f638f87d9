"""How axes write scores: accuracies in percent, average precision in points."""

from __future__ import annotations

from dpk_core.tasks import Metric
from service.web.charts import Spec


def score_axis(metric: Metric, digits: int) -> Spec:
    """The labels of an axis of scores in 0 … 1."""
    if metric.unit == "%":
        return {"format": f".{digits}%"}
    return {"labelExpr": f"format(100 * datum.value, '.{digits}f')"}
