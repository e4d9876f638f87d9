"""The rules that are compared with the probe, in words."""

from __future__ import annotations

from dpk_core.selection.evaluate.rule_evaluation import TWO, Judgement, RuleEvaluation
from dpk_core.selection.evaluate.rules import OF_CLASSES, RuleName
from dpk_core.tasks import TaskName
from service.presentation.numbers import listed, short

_TITLES: dict[RuleName, str] = {
    "probe": "the probe", "teacher_accuracy": "the most accurate", "size": "the largest",
    "cka_gap": "the nearest to the student (CKA)", "logme": "LogME", "leep": "LEEP", "h_score": "H-score",
    "ratio_1_2": "Ratio 1-2", "previous_winner": "the previous winner", "random": "one at random",
}  # fmt: skip


def rule_title(name: RuleName, task: TaskName) -> str:
    """What a rule picks, e.g. `the largest`."""
    return "the highest AP" if (name, task) == ("teacher_accuracy", "detection") else _TITLES[name]


def rule_note(judged: Judgement) -> str | None:
    """Why a rule has no pick, or none among all teachers."""
    if judged.name == "previous_winner" and not judged.picks:
        return "No earlier job with this student and method has one of these teachers as its winner."
    if not judged.missing:
        return None
    return f"Not measured of {', '.join(map(short, judged.missing))}." if judged.picks else "Not measured."


def rules_note(found: RuleEvaluation, task: TaskName) -> str:
    """Over which teachers the rules are judged, what that leaves out, and which rules do not apply to the task."""
    note = _teachers_note(found)
    if task != "detection":
        return note
    unfit = listed([title for name, title in _TITLES.items() if name in OF_CLASSES])
    return f"{note} Not applied to detectors: {unfit}, which compare class scores or features of whole pictures."


def _teachers_note(found: RuleEvaluation) -> str:
    if found.trained < TWO:
        return f"Not measurable with {found.trained} of {found.teachers} teachers trained fully (it takes at least 2)."
    if found.trained == found.teachers:
        return f"Over all {found.teachers} teachers, every one trained fully."
    note = f"Over the {found.trained} of {found.teachers} teachers that were trained fully"
    if found.audited:
        return f"{note}, {found.audited} of them dropped before and trained all the same, to check on the dropping."
    return f"{note}; the others were dropped on the way, so the probe looks better here than it may be."
