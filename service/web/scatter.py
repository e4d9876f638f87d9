"""Does a better teacher give a better student? Teacher score against student score, one chart per moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dpk_core.tasks import Metric
from service.presentation.metric_words import words_of
from service.web.charts import WIDTH, Figure, Spec, chart, tooltip
from service.web.labels import Box, Mark, along, place
from service.web.palette import NO_TEACHER, Paint, paints
from service.web.score_axis import score_axis, score_tooltips
from service.wire.boards import Leaderboard, Row, Summary

Domain = tuple[float, float]

_PLOT_WIDTH, _PLOT_HEIGHT = WIDTH - 62, 235
_MEASURED = "Filled: measured, with one standard deviation over the seeds."
_EXPECTED = " Hollow: expected, with its interval."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Point:
    row: Row
    value: float
    low: float
    high: float
    measured: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plane:
    """Where scores lie in the plot, in pixels; labels are placed by it."""

    x: Domain
    y: Domain
    metric: Metric

    def across(self, value: float) -> float:
        return _PLOT_WIDTH * (value - self.x[0]) / (self.x[1] - self.x[0])

    def down(self, value: float) -> float:
        return _PLOT_HEIGHT * (self.y[1] - value) / (self.y[1] - self.y[0])

    def mark(self, point: _Point) -> Mark:
        return Mark(
            x=self.across(point.row.teacher_accuracy or 0), y=self.down(point.value), top=self.down(point.high),
            bottom=self.down(point.low), text=point.row.label,
        )  # fmt: skip

    @property
    def x_axis(self) -> Spec:
        return _axis("teacher", self.x, self.metric, grid=False)

    @property
    def y_axis(self) -> Spec:
        return _axis("student", self.y, self.metric, grid=True)

    @property
    def pointing(self) -> tuple[list[Spec], list[Spec]]:
        """The lines that pointing shows, and the transforms that they need."""
        name = self.metric.name
        titles = {"teacher": f"Teacher {name}", "student": f"Student {name}", "low": "From", "high": "To"}
        lines, transforms = score_tooltips(self.metric, titles)
        return [tooltip("arm", "Teacher"), *lines], transforms


def scatters(board: Leaderboard) -> list[Figure]:
    """At the first rung and fully trained (the promoted teachers, the others as expected), once known."""
    return [figure for moment in ("probe", "full") if (figure := _scatter(board, moment)) is not None]


def _scatter(board: Leaderboard, moment: Literal["probe", "full"]) -> Figure | None:
    placed = [point for row in board.rows if (point := _point(row, moment)) is not None]
    if not any(point.measured for point in placed):
        return None
    bare = next((summary for row in board.rows if row.teacher is None and (summary := _summary(row, moment))), None)
    ordered = sorted(placed, key=lambda point: (point.row.teacher_accuracy or 0, point.value))
    score = words_of(board.metric).score
    said = "; ".join(
        f"{point.row.label}: teacher {score(point.row.teacher_accuracy)}, student {score(point.value)}"
        + ("" if point.measured else " expected")
        for point in ordered
    )
    if bare is not None:
        said += f"; no teacher: student {score(bare.mean)}"
    return Figure(
        name=f"scatter-{moment}",
        title="At the first rung" if moment == "probe" else "Fully trained",
        description=f"{said}.",
        caption=_MEASURED + _EXPECTED if any(not point.measured for point in placed) else _MEASURED,
        spec=_spec(ordered, paints(board.rows), bare, board.metric),
    )


def _summary(row: Row, moment: Literal["probe", "full"]) -> Summary | None:
    return row.probe if moment == "probe" else row.full


def _point(row: Row, moment: Literal["probe", "full"]) -> _Point | None:
    if row.teacher is None or row.teacher_accuracy is None:
        return None
    if (summary := _summary(row, moment)) is not None:
        sd = summary.sd or 0.0
        return _Point(row=row, value=summary.mean, low=summary.mean - sd, high=summary.mean + sd, measured=True)
    if moment == "full" and (expected := row.expected) is not None:
        return _Point(row=row, value=expected.value, low=expected.low, high=expected.high, measured=False)
    return None


def _spec(points: list[_Point], painted: dict[int, Paint], bare: Summary | None, metric: Metric) -> Spec:
    edges = [edge for point in points for edge in (point.low, point.high)] + ([bare.mean] if bare else [])
    across = _domain([point.row.teacher_accuracy or 0 for point in points])
    plane = _Plane(x=across, y=_domain(edges), metric=metric)
    marks = [plane.mark(point) for point in points]
    layers, taken = ([], []) if bare is None else _bare_layers(bare.mean, plane, marks)
    values = [
        _values(point, painted[point.row.candidate_id]) | {"dx": spot.dx, "dy": spot.dy, "align": spot.align}
        for point, spot in zip(points, place(marks, _PLOT_WIDTH, _PLOT_HEIGHT, taken), strict=True)
    ]
    return chart(values=values, layers=[*layers, *_point_layers(plane)], height=_PLOT_HEIGHT + 55)


def _bare_layers(mean: float, plane: _Plane, marks: list[Mark]) -> tuple[list[Spec], list[Box]]:
    """The line of the arm without a teacher and its name, and the room they take."""
    height = plane.down(mean)
    spot, box = along("no teacher", height, marks, _PLOT_WIDTH, _PLOT_HEIGHT)
    rule = {"type": "rule", "color": NO_TEACHER.colour, "strokeDash": [4, 3], "strokeWidth": 1.5}
    text = {"type": "text", "text": "no teacher", "align": spot.align, "baseline": "middle", "dy": spot.dy}
    muted = {"color": "var(--muted)", "fontSize": 11}
    y = plane.y_axis | {"datum": mean}
    one: Spec = {"data": {"values": [{}]}}
    # Long labels of the axis make the plot narrower than it was taken for.
    x = {"value": {"expr": f"width * {spot.dx / _PLOT_WIDTH:.4f}"}}
    layers: list[Spec] = [
        {**one, "mark": rule, "encoding": {"y": y}},
        {**one, "mark": text | muted, "encoding": {"y": y, "x": x}},
    ]
    return layers, [box, (0, height - 2, _PLOT_WIDTH, height + 2)]


def _point_layers(plane: _Plane) -> list[Spec]:
    x, low, middle = (
        plane.x_axis | {"field": "teacher"},
        plane.y_axis | {"field": "low"},
        plane.y_axis | {"field": "student"},
    )
    colour, fill, shape = ({"field": name, "type": "nominal", "scale": None} for name in ("colour", "fill", "shape"))
    bar = {"type": "rule", "strokeWidth": 1.5, "opacity": 0.7}
    dot = {"type": "point", "size": 80, "opacity": 1, "strokeWidth": 2}
    text = {"type": "text", "baseline": "middle", "fontWeight": 600, "limit": _PLOT_WIDTH} | {
        name: {"expr": f"datum.{name}"} for name in ("dx", "dy", "align")
    }
    tooltip, transforms = plane.pointing
    return [
        {"mark": bar, "encoding": {"x": x, "y": low, "y2": {"field": "high"}, "color": colour}},
        {"mark": dot, "transform": transforms, "encoding": {
            "x": x, "y": middle, "stroke": colour, "fill": fill, "shape": shape, "tooltip": tooltip,
        }},
        {"mark": text, "encoding": {"x": x, "y": middle, "text": {"field": "arm"}, "color": colour}},
    ]  # fmt: skip


def _values(point: _Point, paint: Paint) -> Spec:
    return {
        "teacher": point.row.teacher_accuracy, "student": point.value, "low": point.low, "high": point.high,
        "arm": point.row.label, "colour": paint.colour, "shape": paint.shape,
        "fill": paint.colour if point.measured else "var(--paper)",
    }  # fmt: skip


def _domain(values: list[float]) -> Domain:
    """The range of the values with air around it; at least a point wide, so that a single value has a place."""
    low, high = min(values), max(values)
    air = max(0.12 * (high - low), 0.005)
    return low - air, high + air


def _axis(whose: str, domain: Domain, metric: Metric, *, grid: bool) -> Spec:
    return {
        "type": "quantitative", "title": f"{whose} {words_of(metric).name}",
        "axis": {**score_axis(metric), "tickCount": 4, "grid": grid},
        "scale": {"domain": list(domain), "nice": False, "zero": False},
    }  # fmt: skip
