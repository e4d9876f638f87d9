"""Intervals drawn in the leaderboard's cells, all on one scale, and the bracket around teachers that are tied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from service.wire.boards import Row, Verdict

WIDTH = 120
"""Of a drawing in its own units."""
_AIR = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """Where an interval lies, and where the arm without a teacher does, from the left in units of `WIDTH`."""

    low: float
    value: float
    high: float
    reference: float | None


def expected_intervals(rows: Sequence[Row]) -> dict[int, Drawn]:
    """Of the expected scores by candidate id; none for fewer than two, which show no difference."""
    known = {row.candidate_id: row.expected for row in rows if row.expected is not None}
    if len(known) < 2:
        return {}
    least, most = min(each.low for each in known.values()), max(each.high for each in known.values())
    unit = (WIDTH - 2 * _AIR) / ((most - least) or 1.0)

    def across(score: float) -> float:
        return round(_AIR + unit * (score - least), 1)

    bare = next((row.expected for row in rows if row.teacher is None and row.expected is not None), None)
    reference = None if bare is None else across(bare.value)
    return {
        identity: Drawn(low=across(each.low), value=across(each.value), high=across(each.high), reference=reference)
        for identity, each in known.items()
    }


def brackets(rows: Sequence[Row], verdict: Verdict | None) -> dict[int, str]:
    """The rows, by candidate id, that are tied at the top, and whether a bracket begins, goes on or ends there."""
    if verdict is None:
        return {}
    names = {verdict.best, *verdict.tied} - {None}
    tied = [row for row in rows if row.teacher in names and row.rank is not None]
    if len(tied) < 2:
        return {}
    places = {tied[0].candidate_id: "first", tied[-1].candidate_id: "last"}
    return {row.candidate_id: places.get(row.candidate_id, "middle") for row in tied}
