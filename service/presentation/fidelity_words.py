"""Correlations across teachers: what each is called, and why one is missing."""

from __future__ import annotations

from collections.abc import Sequence

from dpk_core.selection.evaluate.correlation import Correlation
from service.presentation.numbers import counted


def correlation_titles(found: Sequence[Correlation], score: str) -> list[str]:
    """Of each in order, e.g. `teacher accuracy and full student accuracy`. `score`: what the metric is called."""
    return [_title(each, score, _rungs(found, each)) for each in found]


def correlation_note(each: Correlation) -> str | None:
    """Why there is no value; None where there is one."""
    if each.missing is None:
        return None
    if each.missing == "all_equal":
        return "Not measurable: all values are equal."
    several = each.groups > 1
    where = f" of {each.groups} students or recipes" if several else ""
    more = ", and one more for each further one" if several else ""
    return f"Not measurable with {counted(each.pairs, 'teacher')}{where} (it takes at least {each.least}{more})."


def _rungs(found: Sequence[Correlation], like: Correlation) -> int:
    return len({each.rung for each in found if (each.name, each.scope) == (like.name, like.scope)})


def _title(each: Correlation, score: str, rungs: int) -> str:
    several = each.rung is not None and rungs > 1
    probe = f"student probe at {100 * (each.rung or 0):.3g}% of the training" if several else "student probe"
    if each.scope == "store":
        probe = "last probe"
    teacher, full = f"teacher {score}", f"full student {score}"
    first, second = {"teacher_probe": (teacher, probe), "teacher_full": (teacher, full), "probe_full": (probe, full)}[
        each.name
    ]
    return f"{first} and {second}{', all jobs' if each.scope == 'store' else ''}"
