"""A job, or what the store knows, as fidelity and rivals look at it; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from dpk_core.selection.knowledge import Knowledge
from dpk_core.selection.trials import Question, Trial
from service.selection_jobs.snapshot import ArmRuns, Snapshot

Result = Mapping[str, Any]
"""`RunResult` as it is stored."""


def job_question(snapshot: Snapshot, known: Knowledge) -> Question:
    """The job's teachers that did not fail, with what is known of them by now."""
    arms = {arm.candidate.teacher: arm for arm in snapshot.arms}
    trials = tuple(
        Trial(
            teacher=each.teacher,
            teacher_accuracy=each.teacher_accuracy,
            reached={rung: at for place, rung in enumerate(known.rungs) if (at := each.at(place))},
            scores=scores(snapshot, arms[each.teacher]),
            audited=_is_audited(snapshot, arms[each.teacher]),
        )
        for each in known.arms
        if each.teacher is not None and not each.failed
    )
    return Question(trials=trials, seeds=snapshot.plan.seeds)


def scores(snapshot: Snapshot, arm: ArmRuns) -> dict[str, float]:
    """What rivals say of an arm's teacher; nothing of the arm without one."""
    results = [
        run.result
        for link, run in snapshot.links
        if link.candidate_id == arm.candidate.id and run.state == "finished" and run.result is not None
    ]
    teacher = None if arm.teacher is None or arm.teacher.state != "finished" else arm.teacher.result
    return teacher_scores(teacher, results)


def teacher_scores(teacher: Result | None, students: Sequence[Result]) -> dict[str, float]:
    """By a rival's name: of the teacher's own preparation, and the mean gap to the students that it taught."""
    found = {} if teacher is None else {"size": float(teacher["parameters"]), **(teacher.get("scores") or {})}
    gaps = [gap for each in students if (gap := (each.get("scores") or {}).get("cka_gap")) is not None]
    return found | ({"cka_gap": fmean(gaps)} if gaps else {})


def _is_audited(snapshot: Snapshot, arm: ArmRuns) -> bool:
    return any(link.candidate_id == arm.candidate.id and link.purpose == "audit" for link, _ in snapshot.links)
