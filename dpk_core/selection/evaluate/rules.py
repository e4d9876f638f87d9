"""Rules that name a teacher without training the student fully: the probe, and the cheaper ones it must beat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from dpk_core.selection.evaluate.records import ComparisonGroup, TeacherRecord
from dpk_core.tasks import TaskName

RuleName = Literal[
    "probe", "teacher_accuracy", "size", "cka_gap", "logme", "leep", "h_score", "ratio_1_2", "previous_winner", "random"
]
SCORES: dict[RuleName, float] = {
    "size": 1.0, "cka_gap": -1.0, "logme": 1.0, "leep": 1.0, "h_score": 1.0, "ratio_1_2": -1.0
}  # fmt: skip
"""Rules that follow a score of the teachers, and whether the highest (1) or the lowest (-1) wins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule and its scores by teacher, the highest being its pick; equal scores are equally likely picks.

    `missing`: the teachers that should have a score and have none.
    """

    name: RuleName
    scores: Mapping[str, float]
    missing: tuple[str, ...] = ()


OF_CLASSES: frozenset[RuleName] = frozenset({"cka_gap", "logme", "leep", "h_score", "ratio_1_2"})
"""Those that compare class scores, or features of whole pictures, which detectors do not have."""


def rules_of(group: ComparisonGroup, previous: str | None, task: TaskName = "classification") -> tuple[Rule, ...]:
    """The probe at its latest common rung first, then its rivals that apply to the task. `previous`: the teacher that
    won last time."""
    rungs, records = group.common_rungs, group.records
    accuracies = {each.teacher: each.teacher_accuracy for each in records if each.teacher_accuracy is not None}
    known = {each.teacher for each in records}
    found = [
        _predictor("probe", group.levels(rungs[-1]) if rungs else {}, known),
        _predictor("teacher_accuracy", accuracies, known),
    ]
    for name, sign in SCORES.items():
        if task == "detection" and name in OF_CLASSES:
            continue
        scores = group.gaps() if name == "cka_gap" else _scores(records, name)
        found.append(_predictor(name, {teacher: sign * score for teacher, score in scores.items()}, known))
    won = {} if previous is None or previous not in known else {previous: 1.0}
    found.append(Rule(name="previous_winner", scores=won))
    return (*found, Rule(name="random", scores=dict.fromkeys(sorted(known), 0.0)))


def picks(scores: Mapping[str, float], count: int = 1) -> tuple[tuple[str, ...], ...]:
    """The sets of the `count` best, all equally likely: more than one where scores are equal. Empty without scores."""
    if not scores:
        return ()
    chosen: list[str] = []
    for value in sorted(set(scores.values()), reverse=True):
        level = sorted(teacher for teacher, score in scores.items() if score == value)
        if len(chosen) + len(level) >= count:
            return tuple((*chosen, *some) for some in combinations(level, count - len(chosen)))
        chosen += level
    return (tuple(chosen),)


def _scores(records: tuple[TeacherRecord, ...], name: str) -> dict[str, float]:
    return {each.teacher: each.scores[name] for each in records if name in each.scores}


def _predictor(name: RuleName, scores: Mapping[str, float], known: set[str]) -> Rule:
    return Rule(name=name, scores=scores, missing=tuple(sorted(known - set(scores))))
