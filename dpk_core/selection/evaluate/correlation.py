"""Correlations teacher–student (their scores) and probe–full (the score after the probe and after full training)."""

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
Missing = Literal["few_teachers", "all_equal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlation:
    """A coefficient across teachers with its interval; `missing` says why there is none.

    `rung`: at which fraction of the training the probe was read; None where there is none or where it is each
    group's own. `pairs`: teachers, in `groups` that each have more than one; it takes `least` of them.
    """

    name: Name
    scope: Scope
    statistic: Statistic
    rung: float | None
    value: float | None
    low: float | None
    high: float | None
    confidence: float
    pairs: int
    groups: int
    least: int
    missing: Missing | None


def correlations(group: ComparisonGroup, earlier: Sequence[ComparisonGroup] = ()) -> tuple[Correlation, ...]:
    """Within the group at its earliest and its latest common rung, then over it and the `earlier` ones together.

    Everything with full accuracy is over the fully trained teachers only, which the probes have chosen: see
    `docs/selection.md` on what that does.
    """
    rungs = group.common_rungs
    ends = list(dict.fromkeys([rungs[0], rungs[-1]])) if rungs else [None]
    every, found = [*earlier, group], list[Correlation]()
    for rung in ends:
        found += _all("teacher_probe", "job", rung, [group])
    found += _all("teacher_full", "job", None, [group])
    for rung in ends:
        found += _all("probe_full", "job", rung, [group])
    return (*found, *_all("teacher_full", "store", None, every), *_all("probe_full", "store", None, every))


def _all(name: Name, scope: Scope, rung: float | None, questions: Sequence[ComparisonGroup]) -> list[Correlation]:
    groups = [_points(name, group, rung) for group in questions]
    return [_correlation(name, scope, rung, groups, statistic) for statistic in STATISTICS]


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
    name: Name, scope: Scope, rung: float | None, groups: list[Points], statistic: Statistic
) -> Correlation:
    measured, least = associate(groups, statistic), LEAST_PAIRS[statistic]
    missing: Missing = "all_equal" if free_pairs(groups) >= least else "few_teachers"
    return Correlation(
        name=name, scope=scope, statistic=statistic, rung=rung,
        value=None if measured is None else measured.value,
        low=None if measured is None else measured.low,
        high=None if measured is None else measured.high,
        confidence=CONFIDENCE, pairs=_count(groups), groups=sum(len(x) > 1 for x, _ in groups), least=least,
        missing=missing if measured is None else None,
    )  # fmt: skip


def _count(groups: Sequence[Points]) -> int:
    """Teachers that can be compared with another one; of a single one there is nothing to compare it with."""
    sizes = [len(x) for x, _ in groups]
    return sum(size for size in sizes if size > 1) or max(sizes, default=0)
