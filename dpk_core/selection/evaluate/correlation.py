"""The promise, measured: does the student follow its teacher, and does the full training follow the probe?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from dpk_core.selection.estimate import CONFIDENCE
from dpk_core.selection.evaluate.association import LEAST_PAIRS, Points, Statistic, associate, free_pairs
from dpk_core.selection.evaluate.records import FULL, ComparisonGroup

STATISTICS: tuple[Statistic, ...] = ("pearson", "spearman", "kendall")

Name = Literal["teacher_probe", "teacher_full", "probe_full"]
Scope = Literal["job", "store"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlation:
    """A coefficient across teachers with its interval; `note` says why it is missing where it is.

    `rung`: at which fraction of the training the probe was read; None where there is none or where it is each
    group's own.
    """

    name: Name
    title: str
    scope: Scope
    statistic: Statistic
    rung: float | None
    value: float | None
    low: float | None
    high: float | None
    confidence: float
    pairs: int
    note: str | None


def correlations(
    group: ComparisonGroup, earlier: Sequence[ComparisonGroup] = (), score: str = "accuracy"
) -> tuple[Correlation, ...]:
    """Within the group at its earliest and its latest common rung, then over it and the `earlier` ones together.

    `score`: what titles call it.

    Everything with full accuracy is over the fully trained teachers only, which the probes have chosen: see
    `docs/selection.md` on what that does.
    """
    rungs = group.common_rungs
    ends = list(dict.fromkeys([rungs[0], rungs[-1]])) if rungs else [None]
    found: list[Correlation] = []
    for rung in ends:
        found += _all("teacher_probe", f"teacher {score} and {_probe(rung, ends)}", "job", rung, [group])
    found += _all("teacher_full", f"teacher {score} and full student {score}", "job", None, [group])
    for rung in ends:
        found += _all("probe_full", f"{_probe(rung, ends)} and full student {score}", "job", rung, [group])
    every = [*earlier, group]
    found += _all("teacher_full", f"teacher {score} and full student {score}, all jobs", "store", None, every)
    found += _all("probe_full", f"last probe and full student {score}, all jobs", "store", None, every)
    return tuple(found)


def _probe(rung: float | None, ends: Sequence[float | None]) -> str:
    if rung is None or len(ends) == 1:
        return "student probe"
    return f"student probe at {100 * rung:.3g}% of the training"


def _all(
    name: Name, title: str, scope: Scope, rung: float | None, questions: Sequence[ComparisonGroup]
) -> list[Correlation]:
    groups = [_points(name, group, rung) for group in questions]
    return [_correlation(name, title, scope, rung, groups, statistic) for statistic in STATISTICS]


def _points(name: Name, group: ComparisonGroup, rung: float | None) -> Points:
    teachers = {each.teacher: each.teacher_accuracy for each in group.records if each.teacher_accuracy is not None}
    if rung is None and group.common_rungs:
        rung = group.common_rungs[-1]
    probes = {} if rung is None else group.levels(rung)
    ends: dict[Name, tuple[Mapping[str, float], Mapping[str, float]]] = {
        "teacher_probe": (teachers, probes),
        "teacher_full": (teachers, group.levels(FULL)),
        "probe_full": (probes, group.levels(FULL)),
    }
    x, y = ends[name]
    both = sorted(set(x) & set(y))
    return [x[teacher] for teacher in both], [y[teacher] for teacher in both]


def _correlation(
    name: Name, title: str, scope: Scope, rung: float | None, groups: list[Points], statistic: Statistic
) -> Correlation:
    measured = associate(groups, statistic)
    return Correlation(
        name=name,
        title=title,
        scope=scope,
        statistic=statistic,
        rung=rung,
        value=None if measured is None else measured.value,
        low=None if measured is None else measured.low,
        high=None if measured is None else measured.high,
        confidence=CONFIDENCE,
        pairs=_count(groups),
        note=None if measured is not None else _note(groups, LEAST_PAIRS[statistic]),
    )


def _note(groups: Sequence[Points], least: int) -> str:
    several = [x for x, _ in groups if len(x) > 1]
    if free_pairs(groups) >= least:
        return "Not measurable: all values are equal."
    count = _count(groups)
    where = f" of {len(several)} students or recipes" if len(several) > 1 else ""
    more = ", and one more for each further one" if len(several) > 1 else ""
    return f"Not measurable with {count} teacher{'' if count == 1 else 's'}{where} (it takes at least {least}{more})."


def _count(groups: Sequence[Points]) -> int:
    """Teachers that can be compared with another one; of a single one there is nothing to compare it with."""
    sizes = [len(x) for x, _ in groups]
    return sum(size for size in sizes if size > 1) or max(sizes, default=0)
