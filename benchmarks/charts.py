"""Pictures of results: Vega-Lite specifications drawn as SVG without a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import vl_convert

WIDTH, HEIGHT = 300, 200
COLOURS = (
    "#4c78a8", "#f58518", "#e45756", "#72b7b2", "#54a24b", "#eeca3b", "#b279a2", "#ff9da6", "#9d755d", "#bab0ac",
    "#222222",
)  # fmt: skip
"""Vega's ten and black, as there are eleven kinds of choosing."""
METHOD_NAMES = {"dpk": "DPK", "logits": "DPK, β = 0", "kd1": "KD, T = 1", "kd": "KD, T = 4"}
STAGE_NAMES = {"last": "last stage", "second_last": "second-last stage"}


def share_curves(rows: list[dict[str, Any]], folder: Path) -> Path | None:
    """The share of teacher tokens by epoch, one panel for each data set and pair, one line for each stage; None without
    rows. Rows have data, teacher, student and shares."""
    points = [
        {
            "pair": f"{row['data']}: {row['teacher']} → {row['student']}",
            "stage": STAGE_NAMES[stage],
            "epoch": epoch,
            "share": share,
        }
        for row in rows
        for stage, curve in row["shares"].items()
        for epoch, share in enumerate(curve, 1)
    ]
    if not points:
        return None
    encoding = {
        "x": {"field": "epoch", "type": "quantitative", "axis": {"tickMinStep": 1}, "title": "epoch"},
        "y": {
            "field": "share",
            "type": "quantitative",
            "scale": {"domain": [0, 1]},
            "title": "share given by the teacher",
        },
        "color": {"field": "stage", "type": "nominal", "title": None, "legend": {"orient": "top"}},
    }
    chart = {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json", "background": "white",
        "data": {"values": points}, "facet": {"column": {"field": "pair", "title": None}},
        "spec": {"width": WIDTH, "height": HEIGHT, "mark": {"type": "line", "point": True}, "encoding": encoding},
    }  # fmt: skip
    return draw(chart, folder / "ablation-shares.svg")


def teacher_and_student(tables: list[list[dict[str, Any]]], folder: Path) -> Path:
    """Students' accuracies over their teachers', ± one standard error over seeds; dashed: taught by nobody.

    One panel for each data set and student; rows have table, method, teacher, teacher_accuracy, accuracy, low, high and
    no_teacher.
    """
    x = {"field": "teacher_accuracy", "type": "quantitative", "scale": {"zero": False, "padding": 12},
         "axis": {"tickMinStep": 1}, "title": "teacher's test accuracy, %"}  # fmt: skip
    y = {"type": "quantitative", "scale": {"zero": False}, "title": "student's test accuracy, %"}
    color = {"field": "method", "type": "nominal", "title": None, "legend": {"orient": "top"}}
    alone = {
        "mark": {"type": "rule", "strokeDash": [4, 3], "color": "#777777"},
        "encoding": {"y": y | {"field": "no_teacher"}},
    }
    errors = {"mark": "rule", "encoding": {"x": x, "y": y | {"field": "low"}, "y2": {"field": "high"}, "color": color}}
    means = {"mark": {"type": "point", "filled": True, "size": 50},
             "encoding": {"x": x, "y": y | {"field": "accuracy"}, "color": color}}  # fmt: skip
    chart = {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json", "background": "white",
        "data": {"values": [row for rows in tables for row in rows]},
        "facet": {"field": "table", "title": None}, "columns": 3,
        "resolve": {"scale": {"x": "independent", "y": "independent"}},
        "spec": {"width": WIDTH, "height": HEIGHT, "layer": [alone, errors, means]},
    }  # fmt: skip
    return draw(chart, folder / "claim.svg")


def slope_curves(rows: list[dict[str, Any]], folder: Path) -> Path:
    """How far students follow their teachers after each eighth of a training, a line for each table; rows have table,
    method and slope_by_eighth."""
    points = [
        {"table": row["table"], "data": row["table"].partition("-")[0], "method": METHOD_NAMES[row["method"]],
         "part": part / len(row["slope_by_eighth"]), "slope": value}
        for row in rows
        for part, value in enumerate(row["slope_by_eighth"], 1)
    ]  # fmt: skip
    x = {"field": "part", "type": "quantitative", "axis": {"format": "%"}, "title": "part of the training"}
    y = {"type": "quantitative", "title": "student's points per teacher's"}
    color = {"field": "method", "type": "nominal", "title": None, "legend": {"orient": "top"}}
    lines = {
        "mark": {"type": "line", "point": True},
        "encoding": {"x": x, "y": y | {"field": "slope"}, "color": color, "detail": {"field": "table"}},
    }
    zero = {"mark": {"type": "rule", "strokeDash": [4, 3], "color": "#777777"}, "encoding": {"y": y | {"datum": 0}}}
    chart = {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json", "background": "white",
        "data": {"values": points}, "facet": {"field": "data", "title": None}, "columns": 3,
        "resolve": {"scale": {"y": "independent"}, "axis": {"x": "independent"}},
        "spec": {"width": WIDTH, "height": HEIGHT, "layer": [zero, lines]},
    }  # fmt: skip
    return draw(chart, folder / "claim-by-epoch.svg")


def regret_over_cost(rows: list[dict[str, Any]], folder: Path) -> Path:
    """What ways of choosing regret for what they cost; rows have kind, way, share, regret, and whether they are of a
    line."""
    x = {"field": "share", "type": "quantitative", "axis": {"format": "%"}, "title": "cost, of everything"}
    y = {"field": "regret", "type": "quantitative", "title": "regret, points", "scale": {"zero": True}}
    color = {
        "field": "kind", "type": "nominal", "title": None, "scale": {"range": COLOURS},
        "legend": {"orient": "right", "labelLimit": 300},
    }  # fmt: skip
    chart = {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json", "background": "white",
        # Other programs have wider letters than the one that drew it.
        "padding": {"left": 5, "top": 5, "bottom": 5, "right": 40},
        "data": {"values": rows}, "width": 2 * WIDTH, "height": 1.5 * HEIGHT,
        "layer": [
            {"transform": [{"filter": "datum.line"}], "mark": "line", "encoding": {"x": x, "y": y, "color": color}},
            {"mark": {"type": "point", "filled": True, "size": 50}, "encoding": {"x": x, "y": y, "color": color}},
        ],
    }  # fmt: skip
    return draw(chart, folder / "selection.svg")


def draw(chart: dict[str, Any], path: Path) -> Path:
    """Writes a Vega-Lite chart as SVG."""
    path.write_text(str(vl_convert.vegalite_to_svg(chart)) + "\n")
    return path
