"""The charts of a job: what each shows and how it is said in words."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import fmean

from dpk_core.tasks import Metric
from service.presentation.metric_words import words_of
from service.presentation.numbers import percent
from service.web.charts import Figure, Spec, chart
from service.web.palette import NO_TEACHER, Paint, paints
from service.web.score_axis import score_axis
from service.wire.boards import Curve, Leaderboard, Row

OWN_GRADIENTS = ("gradient.class", "gradient.detector")
"""Of the loss that a student has without a teacher: a classifier's, a detector's."""
_TERMS = {"gradient.logits": "Logit term", "gradient.features": "Feature term"}
_STAGES = {"share.last": "Last stage", "share.second_last": "Second-last stage"}
_MOST_TICKS = 8
_WIDE = 0.08
"""A range of scores whose ticks are whole percents."""

Series = list[tuple[int, float]]


def learning_curves(board: Leaderboard) -> list[Figure]:
    """One chart per arm: a thin line per seed, their mean, and the mean without a teacher for comparison."""
    curves = [curve for curve in board.curves if curve.purpose == "student"]
    by_arm = _by_candidate(curves)
    metric = board.metric
    measured = metric.measured_as
    every = [value for curve in curves for _, value in _series(curve, measured)]
    if not every:
        return []
    domain = [min(every), max(every)]
    bare = next((row.candidate_id for row in board.rows if row.teacher is None), None)
    reference = _mean(by_arm.get(bare, []), measured) if bare is not None else []
    painted, rungs = paints(board.rows), board.setup.rungs[:-1]
    return [
        _learning_curve(row, by_arm[row.candidate_id], painted[row.candidate_id], reference, domain, rungs, metric)
        for row in board.rows
        if any(_series(curve, measured) for curve in by_arm.get(row.candidate_id, []))
    ]


def _learning_curve(
    row: Row,
    curves: list[Curve],
    paint: Paint,
    reference: Series,
    domain: list[float],
    rungs: list[int],
    metric: Metric,
) -> Figure:
    measured = metric.measured_as
    mean = _mean(curves, measured)
    values: list[Spec] = [
        {"epoch": epoch, "value": value, "line": f"seed {curve.seed}", "kind": "seed"}
        for curve in curves
        for epoch, value in _series(curve, measured)
    ]
    values += [{"epoch": epoch, "value": value, "line": "mean", "kind": "mean"} for epoch, value in mean]
    if row.teacher is not None:
        values += [{"epoch": e, "value": v, "line": "no teacher", "kind": "reference"} for e, v in reference]
    x = _epochs(value["epoch"] for value in values)
    y = {
        "field": "value", "type": "quantitative", "title": None, "axis": {**_scores(domain, metric), "tickCount": 4},
        "scale": {"domain": domain, "zero": False},
    }  # fmt: skip
    layers = [
        _line("seed", x, y, {"color": paint.colour, "strokeWidth": 1, "opacity": 0.45}),
        _line("reference", x, y, {"color": NO_TEACHER.colour, "strokeWidth": 1.5, "strokeDash": [4, 3]}),
        _line("mean", x, y, {"color": paint.colour, "strokeWidth": 2.5}),
    ]
    for epoch in rungs:
        if epoch < mean[-1][0]:
            at = {"datum": epoch, "type": "quantitative", "scale": x["scale"]}
            layers.insert(
                0, {"mark": {"type": "rule", "color": "var(--rule)", "strokeDash": [2, 3]}, "encoding": {"x": at}}
            )
    ends = f"After epoch {mean[-1][0]} the mean over {len(curves)} seeds is {words_of(metric).score(mean[-1][1])}."
    return Figure(title=row.label, description=ends, spec=chart(values=values, layers=layers, height=180))


def _line(kind: str, x: Spec, y: Spec, mark: Spec) -> Spec:
    return {
        "transform": [{"filter": {"field": "kind", "equal": kind}}],
        "mark": {"type": "line", **mark},
        "encoding": {"x": x, "y": y, "detail": {"field": "line"}},
    }


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
    return Figure(
        title=stage,
        description=f"Share of the teacher's features, mean per epoch: {said}.",
        spec=_lines(lines, {"format": ".2f"}),
    )


def gradient_curves(board: Leaderboard) -> list[Figure]:
    """One chart per term of the loss beside the student's own: the norm of its gradient on the student, as a part of
    its own term's, by teacher, mean over the seeds."""
    by_arm = _by_candidate(curve for curve in board.curves if curve.purpose == "student")
    names = {name for curves in by_arm.values() for curve in curves for point in curve.points for name in point.values}
    terms = sorted(name for name in names if name.startswith("gradient.") and name not in OWN_GRADIENTS)
    return [figure for term in terms if (figure := _gradient_curve(board, by_arm, term)) is not None]


def _gradient_curve(board: Leaderboard, by_arm: dict[int, list[Curve]], term: str) -> Figure | None:
    painted = paints(board.rows)
    lines = {}
    for row in board.rows:
        curves = by_arm.get(row.candidate_id, [])
        own = dict(next(filter(None, (_mean(curves, name) for name in OWN_GRADIENTS)), []))
        # To a hundredth of a percent: an axis would show nothing but the rounding of a ratio that stays the same.
        parts = [(epoch, round(norm / own[epoch], 4)) for epoch, norm in _mean(curves, term) if own.get(epoch)]
        if parts:
            lines[row.label] = (parts, painted[row.candidate_id])
    if not lines:
        return None
    named = "; ".join(f"{label} from {percent(s[0][1])} to {percent(s[-1][1])}" for label, (s, _) in lines.items())
    title = _TERMS.get(term, term.removeprefix("gradient."))
    description = f"Gradient of the {title.lower()} on the student, as a part of its own term's: {named}."
    spec = _lines(lines, _percents([value for series, _ in lines.values() for _, value in series]))
    return Figure(title=title, description=description, spec=spec)


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
    spec = _lines(lines, _scores([value for series, _ in lines.values() for _, value in series], board.metric))
    return [Figure(title="Teachers in training", description=f"Newest {board.metric.name}: {said}.", spec=spec)]


def _lines(lines: dict[str, tuple[Series, Paint]], axis: Spec) -> Spec:
    values: list[Spec] = [{"epoch": e, "value": v, "arm": arm} for arm, (series, _) in lines.items() for e, v in series]
    domain = list(lines)
    colours = {"domain": domain, "range": [paint.colour for _, paint in lines.values()]}
    dashes = {"domain": domain, "range": [list(paint.dash) for _, paint in lines.values()]}
    encoding: Spec = {
        "x": _epochs(value["epoch"] for value in values),
        "y": {"field": "value", "type": "quantitative", "title": None, "axis": axis, "scale": {"zero": False}},
        "color": {"field": "arm", "type": "nominal", "scale": colours, "legend": None},
        "strokeDash": {"field": "arm", "type": "nominal", "scale": dashes, "legend": None},
    }
    # A line of one point is invisible: a dot marks every line's end.
    dots: Spec = {
        "data": {"values": [{"epoch": s[-1][0], "value": s[-1][1], "arm": arm} for arm, (s, _) in lines.items()]},
        "mark": {"type": "point", "filled": True, "size": 30, "opacity": 1},
        "encoding": {name: channel for name, channel in encoding.items() if name != "strokeDash"},
    }
    line = {"mark": {"type": "line", "strokeWidth": 2}, "encoding": encoding}
    return chart(values=values, layers=[line, dots], height=230)


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


def _scores(values: Sequence[float], metric: Metric) -> Spec:
    """How an axis writes these scores: fine enough that its ticks differ."""
    return score_axis(metric, 0 if max(values) - min(values) >= _WIDE else 1)


def _percents(values: Sequence[float]) -> Spec:
    """The same of ratios."""
    return {"format": ".0%" if max(values) - min(values) >= _WIDE else ".1%"}


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
