"""The charts of a job: what each shows and how it is said in words."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import fmean

from dpk_core.tasks import Metric
from service.presentation.metric_words import words_of
from service.presentation.numbers import percent
from service.web.charts import Figure, Spec, chart, only, tooltip
from service.web.palette import Paint, paints
from service.web.score_axis import PERCENT, score_axis, score_tooltips
from service.wire.boards import Curve, Leaderboard

OWN_GRADIENTS = ("gradient.class", "gradient.detector")
"""Of the loss that a student has without a teacher: a classifier's, a detector's."""
_TERMS = {"gradient.logits": "Logit term", "gradient.features": "Feature term"}
_STAGES = {"share.last": "Last stage", "share.second_last": "Second-last stage"}
_MOST_TICKS = 8

_MOST_POINTS = 32
"""Of a line: more would make a page heavy, and a small chart has no room for them."""
_MOST_POINTS_LARGE = 64
"""Of the means in the one large chart."""
_IS_SEED: Spec = {"field": "seed", "valid": True}

Series = list[tuple[int, float]]
Lines = dict[str, tuple[Series, Paint]]
"""By the arm's label, how each is drawn."""


def learning_curve(board: Leaderboard) -> Figure | None:
    """Every arm's mean over its seeds, with the seeds as faint lines behind it; None before the first epoch."""
    by_arm = _by_candidate(curve for curve in board.curves if curve.purpose == "student")
    painted, measured = paints(board.rows), board.metric.measured_as
    lines = {
        row.label: (mean, painted[row.candidate_id])
        for row in board.rows
        if (mean := _mean(by_arm.get(row.candidate_id, []), measured))
    }
    if not lines:
        return None
    seeds: list[Spec] = [
        {"arm": row.label, "seed": curve.seed, "epoch": epoch, "value": round(value, 4)}
        for row in board.rows
        for curve in by_arm.get(row.candidate_id, [])
        for epoch, value in _thinned(_series(curve, measured), _MOST_POINTS)
    ]
    means = _rows(lines, _MOST_POINTS_LARGE)
    found = {
        row.label: [dict(_series(curve, measured)) for curve in by_arm.get(row.candidate_id, [])] for row in board.rows
    }
    for row in means:
        at = (curve.get(row["epoch"]) for curve in found[row["arm"]])
        row["seeds"] = ", ".join(f"{100 * value:.1f}" for value in at if value is not None)
    encoding = _encoding(lines, score_axis(board.metric), [row["epoch"] for row in means])
    thin: Spec = {"mark": {"type": "line", "strokeWidth": 1}, "encoding": {**encoding, "detail": {"field": "seed"}}}
    faint = {**thin, "transform": only(_IS_SEED), "mark": {**thin["mark"], "opacity": 0.22}}
    shown = {"condition": {"param": "pointed", "value": 0.9, "empty": False}, "value": 0}
    score, transforms = score_tooltips(board.metric, {"value": "Mean"})
    unit = words_of(board.metric).unit.strip()
    ends = max(row["epoch"] for row in means)
    said = "; ".join(
        f"{arm} {words_of(board.metric).score(series[-1][1])} after epoch {series[-1][0]}"
        for arm, (series, _) in lines.items()
    )
    return Figure(
        name="learning", title=f"Student {board.metric.name} by epoch", description=f"Means over the seeds: {said}.",
        spec=chart(
            values=[*seeds, *means], height=300, width=560,
            layers=[*(_rung(epoch, encoding) for epoch in board.setup.rungs[:-1] if epoch < ends), faint,
                    *_mean_layers(encoding)],
        ),
        pointing=(
            {**thin, "transform": only(_IS_SEED), "encoding": {**thin["encoding"], "opacity": shown}},
            _points(
                encoding,
                [tooltip("arm", "Teacher"), tooltip("epoch", "Epoch"), *score, tooltip("seeds", f"Seeds, {unit}")],
                transforms,
            ),
        ),
        log="x",
    )  # fmt: skip


def _rung(epoch: int, encoding: Spec) -> Spec:
    at = {"datum": epoch, "type": "quantitative", "scale": encoding["x"]["scale"]}
    rule = {"type": "rule", "color": "var(--rule)", "strokeDash": [2, 3]}
    return {"data": {"values": [{}]}, "mark": rule, "encoding": {"x": at}}


def share_curves(board: Leaderboard) -> list[Figure]:
    """One chart per stage: the share of features each teacher hands over, mean over the seeds."""
    curves = [curve for curve in board.curves if curve.purpose == "student"]
    by_arm = _by_candidate(curves)
    names = {name for curve in curves for point in curve.points for name in point.values}
    ordered = [name for name in _STAGES if name in names]
    ordered += sorted(name for name in names if name.startswith("share.") and name not in _STAGES)
    return [_share_curve(board, by_arm, name) for name in ordered]


def _share_curve(board: Leaderboard, by_arm: dict[int, list[Curve]], name: str) -> Figure:
    painted = paints(board.rows)
    means = {row.candidate_id: _mean(by_arm.get(row.candidate_id, []), name) for row in board.rows}
    rows = [row for row in board.rows if means[row.candidate_id]]
    lines = {row.label: (means[row.candidate_id], painted[row.candidate_id]) for row in rows}
    said = "; ".join(f"{label} from {s[0][1]:.2f} to {s[-1][1]:.2f}" for label, (s, _) in lines.items())
    stage = _STAGES.get(name, name.removeprefix("share."))
    return line_figure(
        name, stage, f"Share of the teacher's features, mean per epoch: {said}.", lines, {"format": ".2f"}
    )


def gradient_curves(board: Leaderboard) -> list[Figure]:
    """One chart per term of the loss beside the class term: the norm of its gradient on the student, as a part of the
    class term's, by teacher, mean over the seeds."""
    by_arm = _by_candidate(curve for curve in board.curves if curve.purpose == "student")
    names = {name for curves in by_arm.values() for curve in curves for point in curve.points for name in point.values}
    terms = sorted(name for name in names if name.startswith("gradient.") and name not in OWN_GRADIENTS)
    return [figure for term in terms if (figure := _gradient_curve(board, by_arm, term)) is not None]


def _gradient_curve(board: Leaderboard, by_arm: dict[int, list[Curve]], term: str) -> Figure | None:
    painted = paints(board.rows)
    lines = {}
    for row in board.rows:
        curves = by_arm.get(row.candidate_id, [])
        classes = dict(next(filter(None, (_mean(curves, name) for name in OWN_GRADIENTS)), []))
        # To a hundredth of a percent: an axis would show nothing but the rounding of a ratio that stays the same.
        parts = [(epoch, round(norm / classes[epoch], 4)) for epoch, norm in _mean(curves, term) if classes.get(epoch)]
        if parts:
            lines[row.label] = (parts, painted[row.candidate_id])
    if not lines:
        return None
    named = "; ".join(f"{label} from {percent(s[0][1])} to {percent(s[-1][1])}" for label, (s, _) in lines.items())
    title = _TERMS.get(term, term.removeprefix("gradient."))
    description = f"Gradient of the {title.lower()} on the student, as a part of its own term's: {named}."
    return line_figure(term, title, description, lines, PERCENT)


def teacher_curves(board: Leaderboard) -> list[Figure]:
    """The teachers' own training, one line each; empty while there is none."""
    by_arm = _by_candidate(curve for curve in board.curves if curve.purpose == "teacher")
    painted = paints(board.rows)
    lines = {
        row.label: (series, painted[row.candidate_id])
        for row in board.rows
        if (series := _mean(by_arm.get(row.candidate_id, []), board.metric.measured_as))
    }
    if not lines:
        return []
    score = words_of(board.metric).score
    said = "; ".join(f"{label} {score(series[-1][1])}" for label, (series, _) in lines.items())
    description = f"Newest {board.metric.name}: {said}."
    return [
        line_figure(
            "teachers",
            "Teachers in training",
            description,
            lines,
            score_axis(board.metric),
            metric=board.metric,
        )
    ]


def line_figure(
    name: str, title: str, description: str, lines: Lines, axis: Spec, who: str = "Teacher",
    metric: Metric | None = None,
) -> Figure:  # fmt: skip
    """Lines over epochs; `who`: what a line belongs to; `metric`: whose scores the values are, if they are scores."""
    means = _rows(lines, _MOST_POINTS)
    encoding = _encoding(lines, axis, [row["epoch"] for row in means])
    if metric is None:
        value, transforms = [tooltip("value", title, ".1%" if axis == PERCENT else axis["format"])], list[Spec]()
    else:
        value, transforms = score_tooltips(metric, {"value": title})
    return Figure(
        name=name.replace(".", "-"), title=title, description=description,
        spec=chart(values=means, layers=_mean_layers(encoding), height=230),
        pointing=(_points(encoding, [tooltip("arm", who), tooltip("epoch", "Epoch"), *value], transforms),),
        log="y" if min(_values(lines)) > 0 else None,
    )  # fmt: skip


def _rows(lines: Lines, most: int) -> list[Spec]:
    """The points of the lines; the last of each is marked, for a line of one point is invisible without its dot."""
    return [
        {"arm": arm, "epoch": epoch, "value": round(value, 5)} | ({"last": True} if epoch == series[-1][0] else {})
        for arm, (series, _) in lines.items()
        for epoch, value in _thinned(series, most)
    ]


def _encoding(lines: Lines, axis: Spec, epochs: Iterable[int]) -> Spec:
    domain = list(lines)
    colours = {"domain": domain, "range": [paint.colour for _, paint in lines.values()]}
    dashes = {"domain": domain, "range": [list(paint.dash) for _, paint in lines.values()]}
    return {
        "x": _epochs(epochs),
        "y": {"field": "value", "type": "quantitative", "title": None, "axis": axis, "scale": {"zero": False}},
        "color": {"field": "arm", "type": "nominal", "scale": colours, "legend": None},
        "strokeDash": {"field": "arm", "type": "nominal", "scale": dashes, "legend": None},
    }


def _mean_layers(encoding: Spec) -> list[Spec]:
    line = {"mark": {"type": "line", "strokeWidth": 2}, "transform": only({"not": _IS_SEED}), "encoding": encoding}
    dot = {"type": "point", "filled": True, "size": 30, "opacity": 1}
    return [line, {"mark": dot, "transform": only({"field": "last", "equal": True}), "encoding": _undashed(encoding)}]


def _points(encoding: Spec, tooltip: list[Spec], transforms: Sequence[Spec] = ()) -> Spec:
    """Invisible marks of a finger's size on the means; `pointed` selects the arm of the one under the pointer."""
    select = {"type": "point", "on": "pointerover", "clear": "pointerout", "fields": ["arm"]}
    return {
        "mark": {"type": "point", "filled": True, "size": 160, "opacity": 0},
        "transform": [*only({"not": _IS_SEED}), *transforms],
        "params": [{"name": "pointed", "select": select}],
        "encoding": {**_undashed(encoding), "tooltip": tooltip},
    }


def _undashed(encoding: Spec) -> Spec:
    return {name: channel for name, channel in encoding.items() if name != "strokeDash"}


def _values(lines: Lines) -> list[float]:
    return [value for series, _ in lines.values() for _, value in series]


def _thinned(series: Series, most: int) -> Series:
    """Every so many points, the last among them."""
    stride = -(-len(series) // most)
    return [point for place, point in enumerate(reversed(series)) if place % stride == 0][::-1]


def _epochs(epochs: Iterable[int]) -> Spec:
    """The axis of these epochs with a few whole numbers on it; left to itself it would repeat them for short runs."""
    last = max(epochs)
    round_steps = (digit * 10**power for power in itertools.count() for digit in (1, 2, 5))
    step = next(step for step in round_steps if last <= _MOST_TICKS * step)
    ticks = list(range(step, last + 1, step))
    return {
        "field": "epoch", "type": "quantitative", "title": "epoch", "axis": {"values": ticks, "format": "d"},
        "scale": {"zero": False, "nice": False},
    }  # fmt: skip


def _by_candidate(curves: Iterable[Curve]) -> dict[int, list[Curve]]:
    grouped: dict[int, list[Curve]] = defaultdict(list)
    for curve in curves:
        grouped[curve.candidate_id].append(curve)
    return grouped


def _series(curve: Curve, name: str) -> Series:
    return [(point.epoch, point.values[name]) for point in curve.points if name in point.values]


def _mean(curves: list[Curve], name: str) -> Series:
    """The mean over the curves, at the epochs that all of those with any value have reached."""
    series = [dict(found) for curve in curves if (found := _series(curve, name))]
    if not series:
        return []
    common = set.intersection(*(set(one) for one in series))
    return [(epoch, fmean(one[epoch] for one in series)) for epoch in sorted(common)]
