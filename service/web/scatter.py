"""Does a better teacher give a better student? Teacher accuracy against student accuracy, one chart per moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from service.selection_jobs.schemas import Leaderboard, Row, Summary
from service.web.charts import WIDTH, Figure, Spec, chart
from service.web.labels import Mark, place
from service.web.palette import NO_TEACHER, Paint, paints
from service.wording import percent

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


def scatters(board: Leaderboard) -> list[Figure]:
    """After the probes (every teacher) and fully trained (the promoted ones, the others as expected), once known."""
    return [figure for moment in ("probe", "full") if (figure := _scatter(board, moment)) is not None]


def _scatter(board: Leaderboard, moment: Literal["probe", "full"]) -> Figure | None:
    placed = [point for row in board.rows if (point := _point(row, moment)) is not None]
    if not any(point.measured for point in placed):
        return None
    bare = next((summary for row in board.rows if row.teacher is None and (summary := _summary(row, moment))), None)
    ordered = sorted(placed, key=lambda point: (point.row.teacher_accuracy or 0, point.value))
    said = "; ".join(
        f"{point.row.label}: teacher {percent(point.row.teacher_accuracy)}, student {percent(point.value)}"
        + ("" if point.measured else " expected")
        for point in ordered
    )
    if bare is not None:
        said += f"; no teacher: student {percent(bare.mean)}"
    return Figure(
        title="After the probe" if moment == "probe" else "Fully trained",
        description=f"{said}.",
        caption=_MEASURED + _EXPECTED if any(not point.measured for point in placed) else _MEASURED,
        spec=_spec(ordered, paints(board.rows), bare),
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


def _spec(points: list[_Point], painted: dict[int, Paint], bare: Summary | None) -> Spec:
    x_domain = _domain([point.row.teacher_accuracy or 0 for point in points])
    y_domain = _domain([edge for point in points for edge in (point.low, point.high)] + ([bare.mean] if bare else []))
    marks = [_mark(point, x_domain, y_domain) for point in points]
    values = [
        _values(point, painted[point.row.candidate_id]) | {"dx": spot.dx, "dy": spot.dy, "align": spot.align}
        for point, spot in zip(points, place(marks, _PLOT_WIDTH, _PLOT_HEIGHT), strict=True)
    ]
    x = _axis("teacher accuracy", x_domain, grid=False)
    y = _axis("student accuracy", y_domain, grid=True)
    layers = [] if bare is None else _bare_layers(y | {"datum": bare.mean})
    x, low, middle = x | {"field": "teacher"}, y | {"field": "low"}, y | {"field": "student"}
    colour, fill, shape = ({"field": name, "type": "nominal", "scale": None} for name in ("colour", "fill", "shape"))
    bar = {"type": "rule", "strokeWidth": 1.5, "opacity": 0.7}
    layers.append({"mark": bar, "encoding": {"x": x, "y": low, "y2": {"field": "high"}, "color": colour}})
    dot = {"type": "point", "size": 80, "opacity": 1, "strokeWidth": 2}
    layers.append({"mark": dot, "encoding": {"x": x, "y": middle, "stroke": colour, "fill": fill, "shape": shape}})
    where = {name: {"expr": f"datum.{name}"} for name in ("dx", "dy", "align")}
    text = {"type": "text", "baseline": "middle", **where}
    layers.append({"mark": text, "encoding": {"x": x, "y": middle, "text": {"field": "label"}}})
    return chart(values=values, layers=layers, height=_PLOT_HEIGHT + 55)


def _bare_layers(y: Spec) -> list[Spec]:
    rule = {"type": "rule", "color": NO_TEACHER.colour, "strokeDash": [4, 3], "strokeWidth": 1.5}
    # The left end of the line is free: the weakest teacher stands a little away from the axis.
    text = {"type": "text", "text": "no teacher", "align": "left", "dy": 9, "color": "var(--muted)", "fontSize": 11}
    one: Spec = {"data": {"values": [{}]}}
    return [
        {**one, "mark": rule, "encoding": {"y": y}},
        {**one, "mark": text, "encoding": {"y": y, "x": {"value": 3}}},
    ]


def _values(point: _Point, paint: Paint) -> Spec:
    return {
        "teacher": point.row.teacher_accuracy, "student": point.value, "low": point.low, "high": point.high,
        "label": point.row.label, "colour": paint.colour, "shape": paint.shape,
        "fill": paint.colour if point.measured else "var(--paper)",
    }  # fmt: skip


def _mark(point: _Point, x_domain: Domain, y_domain: Domain) -> Mark:
    def down(value: float) -> float:
        return _PLOT_HEIGHT * (y_domain[1] - value) / (y_domain[1] - y_domain[0])

    across = ((point.row.teacher_accuracy or 0) - x_domain[0]) / (x_domain[1] - x_domain[0])
    return Mark(
        x=_PLOT_WIDTH * across, y=down(point.value), top=down(point.high), bottom=down(point.low), text=point.row.label
    )


def _domain(values: list[float]) -> Domain:
    """The range of the values with air around it; at least a point wide, so that a single value has a place."""
    low, high = min(values), max(values)
    air = max(0.12 * (high - low), 0.005)
    return low - air, high + air


def _axis(title: str, domain: Domain, *, grid: bool) -> Spec:
    digits = 0 if domain[1] - domain[0] > 0.06 else 1
    return {
        "type": "quantitative", "title": title, "axis": {"format": f".{digits}%", "tickCount": 4, "grid": grid},
        "scale": {"domain": list(domain), "nice": False, "zero": False},
    }  # fmt: skip
