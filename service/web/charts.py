"""Vega-Lite specifications, drawn twice: as inline SVG on the server, so that pages need no JavaScript, and by Vega in
the browser, where there is one, so that values can be pointed at.

Colours are CSS variables that `style.css` defines for light and dark; both drawings pass them through as they are.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from dataclasses import dataclass
from threading import Lock
from typing import Any, Literal

import vl_convert
from cachetools import LRUCache
from markupsafe import Markup, escape

Spec = dict[str, Any]

WIDTH = 360
"""Outer width of a chart in CSS pixels; narrower columns scale it down, so its text stays legible on a phone."""

BYTES_KEPT = 32 * 2**20
"""Of drawn charts that a process keeps in memory."""

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
_ZOOM: Spec = {
    "name": "zoom",
    "select": {"type": "interval", "zoom": "wheel![event.ctrlKey]", "clear": "dblclick"},
    "bind": "scales",
}
"""Dragging moves. The wheel alone scrolls the page; with Ctrl (a pinch on a touchpad) it zooms."""
_TAG = re.compile(r"<[a-z][^>]*>")
_EMPTY = re.compile(r'<path (?:class="foreground"[^>]*display="none"|class="background"[^>]*)/>')
_EMPTY_GROUP = re.compile(r"<g[^>]*></g>")
_NOISE = re.compile(
    r' (?:class="[^"]*"|role="[^"]*"|aria-[a-z]+="[^"]*"|pointer-events="none"|opacity="1"|stroke-dasharray="1,0"'
    r'|font-family="system-ui, sans-serif"|font-size="12px"|[xy]2="0"|stroke-miterlimit="10"|stroke-width="1"'
    r'|transform="translate\(0,0\)")'
)
_LONG_NUMBER = re.compile(r"(\d+\.\d)\d+")
_drawn: LRUCache[str, str] = LRUCache(BYTES_KEPT, getsizeof=sys.getsizeof)
"""By the specification's SHA-256: that of a large job is as long as its chart."""
_lock = Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A chart to show: `description` says in words what can be read from it, for people who do not see it."""

    name: str
    """Unique on its page."""
    title: str
    description: str
    spec: Spec
    pointing: tuple[Spec, ...] = ()
    """Layers that only a browser draws: what answers to the pointer."""
    log: Literal["x", "y"] | None = None
    """The axis that may also be logarithmic: all of its values are above 0."""
    zooms: bool = True
    caption: str = ""
    key: tuple[tuple[str, str], ...] = ()
    """Colours and their names, where the chart has a key of its own."""

    @property
    def label(self) -> str:
        """The accessible name."""
        return f"{self.title}. {self.description}"

    @property
    def svg(self) -> Markup:
        """The chart as inline SVG that carries its description."""
        return _labelled(_draw(json.dumps(self.spec, sort_keys=True)), self.label)

    @property
    def interactive(self) -> Spec:
        """The specification for a browser: as wide as its place, with zoom, and without the arms named in `hidden`."""
        layers = [*self.spec["layer"], *self.pointing]
        if self.zooms:
            place = next(place for place, layer in enumerate(layers) if _spans_both_axes(layer))
            layers[place] = {**layers[place], "params": [*layers[place].get("params", ()), _ZOOM]}
        return {
            **self.spec,
            "width": "container",
            "params": [{"name": "hidden", "value": []}],
            "transform": [{"filter": "indexof(hidden, datum.arm) < 0"}, *self.spec.get("transform", ())],
            "layer": layers,
        }


def chart(*, values: list[Spec], layers: list[Spec], height: int, width: int = WIDTH, **more: object) -> Spec:
    """A layered specification of fixed outer size; `height` in CSS pixels. `arm` in the values: whose a row is."""
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "width": width, "height": height, "autosize": {"type": "fit", "contains": "padding"}, "padding": 4,
        "data": {"values": values}, "layer": layers, "config": _CONFIG, **more,
    }  # fmt: skip


def only(predicate: Spec) -> list[Spec]:
    """A layer's transform that keeps the rows for which this holds."""
    return [{"filter": predicate}]


def tooltip(field: str, title: str, form: str | None = None) -> Spec:
    """A line of what pointing shows: the field under this title, numbers in this d3 format."""
    number = {} if form is None else {"format": form}
    return {"field": field, "title": title, "type": "nominal" if form is None else "quantitative", **number}


def _spans_both_axes(layer: Spec) -> bool:
    return all("field" in layer["encoding"].get(axis, ()) for axis in ("x", "y"))


def _draw(spec: str) -> str:
    # Keyed by what the specification holds, its data too: a job's revision that leaves a chart alone draws nothing.
    key = hashlib.sha256(spec.encode()).hexdigest()
    with _lock:
        kept = _drawn.get(key)
    if kept is not None:
        return kept
    drawn = _compact(str(vl_convert.vegalite_to_svg(spec, allowed_base_urls=[])))
    with _lock:
        if sys.getsizeof(drawn) <= BYTES_KEPT:
            _drawn[key] = drawn
    return drawn


def _compact(svg: str) -> str:
    """Without what shows nothing, and with a tenth of a pixel for the finest step: half the bytes."""
    opening, body = svg[: svg.index(">") + 1], _EMPTY.sub("", svg[svg.index(">") + 1 :])
    body = _TAG.sub(lambda tag: _LONG_NUMBER.sub(r"\1", _NOISE.sub("", tag[0])), body)
    while (less := _EMPTY_GROUP.sub("", body)) != body:
        body = less
    return opening + body


def _labelled(svg: str, description: str) -> Markup:
    size = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    assert size is not None, "vl-convert always writes a viewBox"
    body = svg[svg.index(">") + 1 :]
    # Inside HTML no namespace is needed, and without one the report holds no address at all.
    opening = f'<svg class="chart" role="img" viewBox="0 0 {size[1]} {size[2]}" width="{size[1]}" height="{size[2]}"'
    return Markup(opening + f' font-size="12" aria-label="{escape(description)}">' + body)  # noqa: S704 - vl-convert escapes what it draws
