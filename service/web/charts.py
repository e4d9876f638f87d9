"""Vega-Lite specifications to inline SVG, drawn on the server so that pages need no JavaScript.

Colours are CSS variables that `style.css` defines for light and dark; vl-convert passes them through as they are.
"""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass
from typing import Any

import vl_convert
from markupsafe import Markup, escape

Spec = dict[str, Any]

WIDTH = 360
"""Outer width of a chart in CSS pixels; narrower columns scale it down, so its text stays legible on a phone."""

_CONFIG: Spec = {
    "aria": False,
    "background": None,
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--muted)", "titleColor": "var(--muted)", "gridColor": "var(--grid)", "domain": False,
        "tickColor": "var(--grid)", "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal",
        "titlePadding": 8,
    },
    "axisX": {"grid": False, "domain": True, "domainColor": "var(--rule)"},
    "text": {"fontSize": 12, "color": "var(--ink)"},
    "legend": {"labelColor": "var(--ink)", "titleColor": "var(--muted)", "labelFontSize": 12, "titleFontSize": 12},
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A chart to show: `description` says in words what can be read from it, for people who do not see it."""

    title: str
    description: str
    spec: Spec
    caption: str = ""
    key: tuple[tuple[str, str], ...] = ()
    """Colours and their names, where the chart has a key of its own."""

    @property
    def svg(self) -> Markup:
        """The chart as inline SVG that carries its description."""
        return _labelled(_draw(json.dumps(self.spec, sort_keys=True)), f"{self.title}. {self.description}")


def chart(*, values: list[Spec], layers: list[Spec], height: int, width: int = WIDTH, **more: object) -> Spec:
    """A layered specification of fixed outer size; `height` in CSS pixels."""
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "width": width, "height": height, "autosize": {"type": "fit", "contains": "padding"}, "padding": 4,
        "data": {"values": values}, "layer": layers, "config": _CONFIG, **more,
    }  # fmt: skip


@functools.lru_cache(maxsize=1024)
def _draw(spec: str) -> str:
    # Keyed by the specification itself, which holds the data: a job's revision that leaves a chart alone draws nothing.
    return str(vl_convert.vegalite_to_svg(spec, allowed_base_urls=[]))


def _labelled(svg: str, description: str) -> Markup:
    size = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    assert size is not None, "vl-convert always writes a viewBox"
    body = svg[svg.index(">") + 1 :]
    # Inside HTML no namespace is needed, and without one the report holds no address at all.
    opening = f'<svg class="chart" role="img" viewBox="0 0 {size[1]} {size[2]}" width="{size[1]}" height="{size[2]}"'
    return Markup(opening + f' aria-label="{escape(description)}">' + body)  # noqa: S704 - vl-convert escapes what it draws
