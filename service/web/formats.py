"""How numbers, times and intervals are written on the pages; registered as template filters."""

from __future__ import annotations

from datetime import UTC, datetime

from service.selection_jobs.schemas import Interval, Summary

MINUS = "\N{MINUS SIGN}"
NOTHING = "\N{EN DASH}"
"""Stands in a cell for which there is no value yet."""


def percent(fraction: float | None, digits: int = 1) -> str:
    """A fraction in 0 … 1 as a percentage; an en dash for None."""
    return NOTHING if fraction is None else f"{100 * fraction:.{digits}f}%"


def spread(summary: Summary | None) -> str:
    """Mean and standard deviation over the seeds, e.g. `94.44% ± 0.52`; the mean alone for a single seed."""
    if summary is None:
        return NOTHING
    mean = percent(summary.mean, 2)
    return mean if summary.sd is None else f"{mean} ± {100 * summary.sd:.2f}"


def points(difference: float) -> str:
    """A signed difference of fractions in percentage points, e.g. `+1.20`."""
    text = f"{100 * abs(difference):.2f}"
    if float(text) == 0:
        return text
    return ("+" if difference > 0 else MINUS) + text


def bounds(interval: Interval | None) -> str:
    """The interval of an accuracy, e.g. `93.1 to 95.2%`; empty for None."""
    return "" if interval is None else f"{100 * interval.low:.1f} to {100 * interval.high:.1f}%"


def point_bounds(interval: Interval | None) -> str:
    """The interval of a difference in percentage points, e.g. `−0.30 to +2.70`; empty for None."""
    return "" if interval is None else f"{points(interval.low)} to {points(interval.high)}"


def coefficient(value: float) -> str:
    """A correlation coefficient with a true minus sign."""
    return f"{value:.2f}".replace("-", MINUS)


def duration(seconds: float | None) -> str:
    """Seconds as a person would say them: `42 s`, `4 min 10 s`, `2 h 05 min`."""
    if seconds is None:
        return NOTHING
    if 0 < seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def count(number: int | None) -> str:
    """A large count in short: `77k`, `1.24M`."""
    if number is None:
        return NOTHING
    if number < 1_000:
        return str(number)
    if number < 1_000_000:
        return f"{number / 1_000:.0f}k" if number >= 10_000 else f"{number / 1_000:.1f}k"
    return f"{number / 1_000_000:.2f}M"


def clock(moment: datetime) -> str:
    """A moment in UTC, e.g. `23 Nov 2026, 01:16 UTC`."""
    return moment.astimezone(UTC).strftime("%-d %b %Y, %H:%M UTC")


def short(name: str) -> str:
    """A model's name without its family."""
    return name.rpartition("/")[2]
