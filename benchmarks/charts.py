"""Pictures of results: Vega-Lite specifications drawn as SVG without a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import vl_convert

WIDTH, HEIGHT = 300, 200
STAGE_NAMES = {"last": "last stage", "second_last": "second-last stage"}


def share_curves(rows: list[dict[str, Any]], folder: Path) -> Path | None:
    """The share of teacher tokens by epoch, one panel for each pair, one line for each stage; None without rows."""
    points = [
        {"pair": f"{row['teacher']} → {row['student']}", "stage": STAGE_NAMES[stage], "epoch": epoch, "share": share}
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


def draw(chart: dict[str, Any], path: Path) -> Path:
    """Writes a Vega-Lite chart as SVG."""
    path.write_text(str(vl_convert.vegalite_to_svg(chart)) + "\n")
    return path
