"""What a job cost and what it saved."""

from __future__ import annotations

from dataclasses import dataclass

from service.presentation.numbers import duration
from service.web.charts import Figure, Spec, chart, tooltip
from service.wire.boards import Ledger, Purposes

_PURPOSES = {
    "teachers prepared": "var(--ledger-0)",
    "exploring": "var(--ledger-1)",
    "confirming": "var(--ledger-2)",
    "audit": "var(--ledger-4)",
    "lost to failures and restarts": "var(--ledger-3)",
}
_UNITS = ((3600, "hours"), (60, "minutes"), (1, "seconds"))
_ROW_AXIS = {"ticks": False, "labelPadding": 8, "minExtent": 76}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceLine:
    """What a device spent on each purpose that this job had, by the purpose's name, in seconds."""

    device: str
    purposes: tuple[tuple[str, float], ...]
    together: float


def device_lines(ledger: Ledger) -> list[DeviceLine]:
    """One for each device; none where there is only one, of which the whole tells already."""
    if len(ledger.devices) < 2:
        return []
    found = {device: _by_name(purposes) for device, purposes in ledger.purposes_by_device.items()}
    used = [name for name in _PURPOSES if any(by_name[name] > 0 for by_name in found.values())]
    return [
        DeviceLine(
            device=device,
            purposes=tuple((name, by_name[name]) for name in used),
            together=ledger.by_device[device],
        )
        for device, by_name in found.items()
    ]


def ledger_figure(ledger: Ledger) -> Figure | None:
    """Spent seconds by purpose, against training everything; None while nothing is spent."""
    spent = {name: seconds for name, seconds in _by_name(ledger).items() if seconds > 0}
    if not spent:
        return None
    longest = max(sum(spent.values()), ledger.exhaustive or 0.0)
    scale, unit = next(each for each in _UNITS if longest >= 2 * each[0] or each[0] == 1)
    values: list[Spec] = [
        {
            "row": "this job",
            "purpose": name,
            "seconds": duration(seconds),
            "colour": _PURPOSES[name],
            "order": order,
            "time": seconds / scale,
        }
        for order, (name, seconds) in enumerate(spent.items())
    ]
    if ledger.exhaustive is not None:
        values.append({
            "row": "everything", "purpose": "every teacher fully, estimated", "seconds": duration(ledger.exhaustive),
            "colour": "var(--rule)", "order": 9, "time": ledger.exhaustive / scale,
        })  # fmt: skip
    encoding = {
        "y": {"field": "row", "type": "nominal", "title": None, "sort": None, "axis": _ROW_AXIS},
        "x": {"field": "time", "type": "quantitative", "title": f"{unit} of training", "axis": {"tickCount": 5}},
        "color": {"field": "colour", "type": "nominal", "scale": None},
        "order": {"field": "order"},
        "tooltip": [tooltip("purpose", "For"), tooltip("seconds", "Time")],
    }
    said = ", ".join(f"{name} {duration(seconds)}" for name, seconds in spent.items())
    layers: list[Spec] = [{"mark": {"type": "bar", "height": 22}, "encoding": encoding}]
    key = [(_PURPOSES[name], f"{name} {duration(seconds)}") for name, seconds in spent.items()]
    if ledger.exhaustive is not None:
        key.append(("var(--rule)", f"every teacher fully, estimated {duration(ledger.exhaustive)}"))
    return Figure(
        name="ledger",
        title="Training time",
        description=f"{said}.",
        spec=chart(values=values, layers=layers, height=120, width=520),
        key=tuple(key),
        zooms=False,
    )


def _by_name(purposes: Purposes) -> dict[str, float]:
    each = purposes.teachers, purposes.exploring, purposes.confirming, purposes.audit, purposes.wasted
    return dict(zip(_PURPOSES, each, strict=True))
