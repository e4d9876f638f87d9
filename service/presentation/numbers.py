"""Each kind of number in one spelling, the same on pages, commands and reports."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dpk_core.selection.estimate import Estimate
    from service.wire.boards import Interval

    Gain = Estimate | Interval

MINUS = "\N{MINUS SIGN}"
NO_BREAK = "\N{NO-BREAK SPACE}"
ZERO = 1e-9
"""An end of an interval that lies so near to 0 is 0, save for rounding."""
NOTHING = "\N{EN DASH}"
"""Stands in a cell for which there is no value yet."""


def percent(fraction: float | None, digits: int = 1) -> str:
    """A fraction in 0 … 1 as a percentage; an en dash for None."""
    return NOTHING if fraction is None else f"{100 * fraction:.{digits}f}%"


def points(difference: float, digits: int = 2) -> str:
    """A signed difference of fractions in percentage points, e.g. `+1.20`."""
    text = f"{100 * abs(difference):.{digits}f}"
    if float(text) == 0:
        return text
    return ("+" if difference > 0 else MINUS) + text


def points_in_words(fraction: float, digits: int = 1) -> str:
    """The same inside a sentence, where a plus sign would disturb: `1.2`, `−0.3`."""
    text = f"{100 * abs(fraction):.{digits}f}"
    return f"{MINUS}{text}" if fraction < 0 and float(text) else text


def gain_digits(gain: Gain) -> int:
    """Decimals of a gain and its interval wherever they stand: one, or as many more as it takes that an end which is
    not 0 does not read 0.0."""
    ends = [100 * abs(end) for end in (gain.low, gain.high) if abs(end) > ZERO]
    return next(digits for digits in range(1, 9) if all(float(f"{end:.{digits}f}") for end in ends))


def gain_value(gain: Gain) -> str:
    """A gain in a table, in points with its sign: `+1.2`."""
    return points(gain.value, gain_digits(gain))


def gain_bounds(gain: Gain) -> str:
    """Its interval in a table: `+0.3 to +2.1`."""
    digits = gain_digits(gain)
    return f"{points(gain.low, digits)} to {points(gain.high, digits)}"


def least_gain(gain: Gain) -> str:
    """The lower end of its interval in a sentence: `0.3`."""
    return points_in_words(gain.low, gain_digits(gain))


def gain_in_words(gain: Gain, unit: str = "points") -> str:
    """A gain in a sentence: `1.2 points (90% interval 0.3 to 2.1)`."""
    value, low, high = (points_in_words(each, gain_digits(gain)) for each in (gain.value, gain.low, gain.high))
    return f"{value} {unit} ({100 * gain.confidence:.0f}% interval {low} to {high})"


def margin_in_words(margin: float) -> str:
    """A margin in points, as it was asked for: `0.3`, `1`."""
    return f"{100 * margin:g}"


def chance(value: float | None) -> str:
    """A probability in whole percents, its ends never quite reached: `<1%`, `62%`, `>99%`; an en dash for None."""
    if value is None:
        return NOTHING
    return "<1%" if value < 0.005 else ">99%" if value > 0.995 else f"{value:.0%}"


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


def clock_seconds(moment: datetime) -> str:
    """The same to the second, as logs need it: `23 Nov 2026, 01:16:07 UTC`."""
    return moment.astimezone(UTC).strftime("%-d %b %Y, %H:%M:%S UTC")


def short(name: object) -> str:
    """A model's name, with its weights if it has any of its own, without its family."""
    return str(name).partition("/")[2] or str(name)


def listed(names: Sequence[str]) -> str:
    """`a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def counted(number: int, what: str) -> str:
    """`1 seed`, `3 seeds`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def age(moment: datetime) -> str:
    """How long ago a moment is, in its largest unit: `just now`, `5 min`, `3 h`, `12 d`."""
    seconds = (datetime.now(UTC) - moment).total_seconds()
    if seconds < 60:
        return "just now"
    for unit, size, most in (("min", 60, 60), ("h", 3600, 48)):
        if seconds < size * most:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds // 86400:.0f} d"
