"""The promise, measured: does the student follow its teacher, and does the full training follow the probe?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from dpk_core.selection.state import Arm, State
from dpk_core.selection.statistics import CONFIDENCE, Estimate, mean, pooled_correlation

LEAST_PAIRS = 4
"""Fisher's interval does not exist below four pairs."""

Name = Literal["teacher_probe", "teacher_full", "probe_full"]
Points = tuple[list[float], list[float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlation:
    """Pearson's correlation across teachers with its interval; `note` says why it is missing where it is."""

    name: Name
    title: str
    scope: Literal["job", "store"]
    value: float | None
    low: float | None
    high: float | None
    confidence: float
    pairs: int
    note: str | None


def correlations(state: State) -> tuple[Correlation, ...]:
    """Within the job: teacher with probe, teacher with full, probe with full; over the store: teacher with full."""
    arms = [arm for arm in state.arms if arm.teacher is not None and not arm.failed]

    def points(x: Callable[[Arm], float | None], y: Callable[[Arm], float | None]) -> Points:
        pairs = [(a, b) for arm in arms if (a := x(arm)) is not None and (b := y(arm)) is not None]
        return [a for a, _ in pairs], [b for _, b in pairs]

    in_job = points(_teacher, _full)
    groups: dict[str, Points] = defaultdict(lambda: ([], []))
    for pair in state.history:
        groups[pair.group][0].append(pair.teacher_accuracy)
        groups[pair.group][1].append(pair.student_accuracy)
    return (
        _correlation("teacher_probe", "teacher accuracy and student probe", "job", [points(_teacher, _probe)]),
        _correlation("teacher_full", "teacher accuracy and full student accuracy", "job", [in_job]),
        _correlation("probe_full", "student probe and full student accuracy", "job", [points(_probe, _full)]),
        _correlation(
            "teacher_full", "teacher accuracy and full student accuracy, all jobs", "store", [*groups.values(), in_job]
        ),
    )


def _correlation(name: Name, title: str, scope: Literal["job", "store"], groups: list[Points]) -> Correlation:
    measured = pooled_correlation(groups)
    count = sum(len(x) for x, _ in groups)
    return Correlation(
        name=name,
        title=title,
        scope=scope,
        value=None if measured is None else measured.value,
        low=None if measured is None else measured.low,
        high=None if measured is None else measured.high,
        confidence=CONFIDENCE,
        pairs=count,
        note=_note(measured, groups, count),
    )


def _note(measured: Estimate | None, groups: list[Points], count: int) -> str | None:
    if measured is not None:
        return None
    if count < LEAST_PAIRS or len(groups) > 1:
        return f"Not measurable with {count} teacher{'' if count == 1 else 's'} (it takes at least {LEAST_PAIRS})."
    return "Not measurable: all values are equal."


def _teacher(arm: Arm) -> float | None:
    return arm.teacher_accuracy


def _probe(arm: Arm) -> float | None:
    return mean(arm.probe) if arm.probe else None


def _full(arm: Arm) -> float | None:
    return mean(arm.full) if arm.full else None
