"""A job as correlations and rules look at it; pure."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean

from dpk_core.selection.decide.job_results import JobResults
from dpk_core.selection.evaluate.records import ComparisonGroup, TeacherRecord
from service.scheduling.evidence import Result, preparation_result
from service.scheduling.snapshot import ArmRuns, Snapshot


def comparison_group(snapshot: Snapshot, results: JobResults) -> ComparisonGroup:
    """The job's teachers that did not fail, with what is known of them by now."""
    arms = {arm.candidate.teacher: arm for arm in snapshot.arms}
    records = tuple(
        TeacherRecord(
            teacher=each.teacher,
            teacher_accuracy=each.teacher_score,
            reached={rung: at for place, rung in enumerate(results.rungs) if (at := each.at(place))},
            scores=teacher_scores(preparation_result(arms[each.teacher])),
            gaps=_gaps(arms[each.teacher]),
            audited=_is_audited(snapshot, arms[each.teacher]),
        )
        for each in results.arms
        if each.teacher is not None and not each.failed
    )
    return ComparisonGroup(records=records)


def row_scores(arm: ArmRuns) -> dict[str, float]:
    """What rivals say of an arm's teacher, the CKA gap as its mean over the arm's own seeds."""
    gaps = _gaps(arm)
    return teacher_scores(preparation_result(arm)) | ({"cka_gap": fmean(gaps.values())} if gaps else {})


def teacher_scores(preparation: Result | None) -> dict[str, float]:
    """By a rival's name, of a teacher's own preparation."""
    if preparation is None:
        return {}
    return {"size": float(preparation["parameters"]), **(preparation.get("scores") or {})}


def gaps(students: Iterable[tuple[int, Result]]) -> dict[int, float]:
    """The CKA gap by seed; every run of a training tells the same."""
    found = ((seed, (result.get("scores") or {}).get("cka_gap")) for seed, result in students)
    return {seed: gap for seed, gap in found if gap is not None}


def _gaps(arm: ArmRuns) -> dict[int, float]:
    runs = [(seed, run) for seed, by_epoch in sorted(arm.students.items()) for run in by_epoch.values()]
    return gaps((seed, run.result) for seed, run in runs if run.state == "finished" and run.result is not None)


def _is_audited(snapshot: Snapshot, arm: ArmRuns) -> bool:
    return any(link.candidate_id == arm.candidate.id and link.purpose == "audit" for link, _ in snapshot.links)
