"""What a job spent, what it saved, and on what; pure. A run that was finished before the job asked for it is free."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean

from service.database.tables import JobRun, Run
from service.selection_jobs import schemas
from service.selection_jobs.evidence import Evidence, paces
from service.selection_jobs.snapshot import ArmRuns, Snapshot

_PURPOSES = {"teacher": "teachers", "explore": "exploring", "confirm": "confirming", "audit": "audit"}
"""What a link's purpose is called on the wire."""


def row_seconds(links: Iterable[tuple[JobRun, Run]], candidate_id: int) -> float:
    """Seconds spent for one candidate, those that led nowhere included."""
    return sum(_seconds(run) for link, run in links if link.candidate_id == candidate_id and not link.reused)


def student_seconds(snapshot: Snapshot) -> float:
    """Seconds spent on students, those that led nowhere included: what a limit of training time is held against."""
    return sum(_seconds(run) for link, run in snapshot.links if link.purpose != "teacher" and not link.reused)


def ledger(snapshot: Snapshot, evidence: Evidence) -> schemas.Ledger:
    """The job's training seconds by purpose and by device. Failed and cancelled runs are waste."""
    own = [(link, run) for link, run in snapshot.links if not link.reused]
    spent = sum(_seconds(run) for _, run in own)
    exhaustive = _exhaustive(snapshot, evidence)
    known = exhaustive is not None and snapshot.job.state == "finished"
    devices = sorted({run.device for _, run in own if run.device is not None})
    on_device = {device: [(link, run) for link, run in own if run.device == device] for device in devices}
    return schemas.Ledger(
        **_purposes(own).model_dump(),
        reused=sum(run.seconds for link, run in snapshot.links if link.reused),
        spent=spent,
        exhaustive=exhaustive,
        saved=exhaustive - spent if known and exhaustive is not None else None,
        devices=devices,
        by_device={device: sum(_seconds(run) for _, run in links) for device, links in on_device.items()},
        purposes_by_device={device: _purposes(links) for device, links in on_device.items()},
    )


def _purposes(links: Iterable[tuple[JobRun, Run]]) -> schemas.Purposes:
    found = dict.fromkeys((*_PURPOSES.values(), "wasted"), 0.0)
    for link, run in links:
        found["wasted"] += run.wasted_seconds
        found["wasted" if _was_in_vain(run) else _PURPOSES[link.purpose]] += run.seconds
    return schemas.Purposes(**found)


def _was_in_vain(run: Run) -> bool:
    return run.state in ("failed", "cancelled")


def _seconds(run: Run) -> float:
    return run.seconds + run.wasted_seconds


def _exhaustive(snapshot: Snapshot, evidence: Evidence) -> float | None:
    """Seconds that training every arm fully with every seed would have cost, at the pace measured for each arm.

    Arms that were never timed are taken at the mean pace of the others; None when none was. An arm that failed would
    have failed there too, and counts with what it cost here.
    """
    found = paces(snapshot, evidence)
    known = [pace for pace in found if pace is not None]
    if not known:
        return None
    epochs = len(snapshot.plan.seeds) * snapshot.plan.epochs
    return sum(
        _preparation(snapshot, arm) + epochs * (fmean(known) if pace is None else pace)
        if arm.first_failed is None
        else row_seconds(snapshot.links, arm.candidate.id)
        for arm, pace in zip(snapshot.arms, found, strict=True)
    )


def _preparation(snapshot: Snapshot, arm: ArmRuns) -> float:
    """Seconds in which this job prepared the arm's teacher."""
    return sum(
        run.seconds
        for link, run in snapshot.links
        if link.candidate_id == arm.candidate.id and link.purpose == "teacher" and not link.reused
        if not _was_in_vain(run)
    )
