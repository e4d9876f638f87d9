"""The reliability diagram: what was stated against what came true."""

from __future__ import annotations

from service.calibration.schemas import Calibration
from service.web.charts import Figure, Spec, chart, tooltip

_PERCENT = {"format": ".0%", "tickCount": 5}
_SCALE = {"domain": [0, 1], "nice": False}


def reliability(found: Calibration) -> Figure | None:
    """Stated chances of being best against how often that teacher won; None while nothing can be told."""
    if not found.bins:
        return None
    values: list[Spec] = [
        {"stated": each.stated, "won": each.won.value, "low": each.won.low, "high": each.won.high, "count": each.count}
        for each in found.bins
    ]
    x = {"field": "stated", "type": "quantitative", "title": "stated chance of being best", "axis": _PERCENT}
    y = {"type": "quantitative", "title": "were the winner", "axis": _PERCENT, "scale": _SCALE}
    x["scale"] = _SCALE
    ends: Spec = {"data": {"values": [{"stated": 0, "won": 0}, {"stated": 1, "won": 1}]}}
    layers: list[Spec] = [
        {
            **ends,
            "mark": {"type": "line", "color": "var(--rule)", "strokeDash": [4, 3], "strokeWidth": 1.5},
            "encoding": {"x": x, "y": y | {"field": "won"}},
        },
        {
            "mark": {"type": "rule", "color": "var(--accent)", "strokeWidth": 1.5, "opacity": 0.7},
            "encoding": {"x": x, "y": y | {"field": "low"}, "y2": {"field": "high"}},
        },
        {
            "mark": {"type": "point", "filled": True, "color": "var(--accent)", "size": 80, "opacity": 1},
            "encoding": {"x": x, "y": y | {"field": "won"}, "tooltip": [
                tooltip("stated", "Stated", ".0%"), tooltip("won", "Were the winner", ".0%"),
                tooltip("count", "Teachers"),
            ]},
        },
    ]  # fmt: skip
    said = "; ".join(
        f"stated {100 * each.stated:.0f}%, won {100 * each.won.value:.0f}% of {each.count}" for each in found.bins
    )
    return Figure(
        name="reliability", title="Stated chances against outcomes", description=f"{said}.",
        spec=chart(values=values, layers=layers, height=290),
        caption="Each point is a group of teachers with similar stated chances; on the dashed line they hold exactly. "
        "Bars are 90% intervals that take teachers of one job for independent, which they are not quite.",
    )  # fmt: skip
