"""Scores of trained networks in words, whatever their task: accuracy in percent, average precision in points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dpk_core.selection.estimate import around_score, wilson
from dpk_core.tasks import Metric, TaskName
from service.presentation.metric_words import AVERAGE_PRECISION
from service.presentation.numbers import NOTHING, percent

_SIZES = {
    "ap50": "AP50, overlap at least .50", "ap75": "AP75, overlap at least .75",
    "ap_small": "AP of small boxes, up to 32² px", "ap_medium": "AP of medium boxes, 32² to 96² px",
    "ap_large": "AP of large boxes, from 96² px",
}  # fmt: skip


def in_words(metric: Metric) -> str:
    """`accuracy`, `average precision`."""
    return metric.name.replace("_", " ")


def precision(score: float | None) -> str:
    """Average precision in points: `41.2`; an en dash for None."""
    return NOTHING if score is None else f"{100 * score:.1f}"


def precision_bounds(score: float, error: float | None) -> str:
    """The 90 % interval around average precision: `38.0 to 44.4`; an en dash where its standard error is not known."""
    if error is None:
        return NOTHING
    found = around_score(score, error)
    return f"{precision(found.low)} to {precision(found.high)}"


def measured(task: TaskName, score: float | None, pictures: int, error: float | None = None) -> str:
    """`94.7% of 360 pictures (92.3% to 96.4%)`, or `41.2 AP on 72 pictures (38.0 to 44.4)`. `error`: standard error
    of average precision."""
    if score is None:
        return "not measured"
    if task == "detection":
        around = "" if error is None else f" ({precision_bounds(score, error)})"
        return f"{AVERAGE_PRECISION.score(score)} on {pictures} pictures{around}"
    found = wilson(score * pictures, pictures)
    return f"{percent(score)} of {pictures} pictures ({percent(found.low)} to {percent(found.high)})"


def precision_table(
    score: float, details: Mapping[str, float], classes: Sequence[str] | None
) -> Iterator[tuple[str, str, str]]:
    """Name, average precision and interval of the whole, by overlap, by size and by class; what has no boxes is left
    out."""
    yield "AP, mean over overlaps .50 … .95", precision(score), precision_bounds(score, details.get("error_ap"))
    named = {name: text for name, text in _SIZES.items() if name in details}
    for name in details:
        if name.startswith("ap_class_"):
            place = int(name.removeprefix("ap_class_"))
            named[name] = f"AP of {place if classes is None else classes[place]}"
    for name, text in named.items():
        yield text, precision(details[name]), precision_bounds(details[name], details.get(f"error_{name}"))
