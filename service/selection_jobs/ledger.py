"""What a job spent, what it saved, and on what; pure. A run that was finished before the job asked for it is free."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from statistics import fmean

from service.database.tables import JobRun, Run
from service.selection_jobs import schemas
from service.selection_jobs.evidence import Evidence, paces
from service.selection_jobs.snapshot import Snapshot


def row_seconds(links: Iterable[tuple[JobRun, Run]], candidate_id: int) -> float:
    """Seconds spent for one candidate, those that led nowhere included."""
    return sum(_seconds(run) for link, run in links if link.candidate_id == candidate_id and not link.reused)


def student_seconds(snapshot: Snapshot) -> float:
    """Seconds spent on students, those that led nowhere included: what a limit of training time is held against."""
    return sum(_seconds(run) for link, run in snapshot.links if link.purpose != "teacher" and not link.reused)


def ledger(snapshot: Snapshot, evidence: Evidence) -> schemas.Ledger:
    """The job's training seconds by purpose and by device. Failed and cancelled runs are waste."""
    useful = {"teacher": 0.0, "explore": 0.0, "confirm": 0.0, "audit": 0.0}
    devices: dict[str, float] = defaultdict(float)
    wasted = reused = 0.0
    for link, run in snapshot.links:
        if link.reused:
            reused += run.seconds
            continue
        if run.device is not None:
            devices[run.device] += _seconds(run)
        wasted += run.wasted_seconds
        if run.state in ("failed", "cancelled"):
            wasted += run.seconds
        else:
            useful[link.purpose] += run.seconds
    spent = sum(useful.values()) + wasted
    exhaustive = _exhaustive(snapshot, evidence, useful["teacher"])
    known = exhaustive is not None and snapshot.job.state == "finished"
    return schemas.Ledger(
        teachers=useful["teacher"], exploring=useful["explore"], confirming=useful["confirm"], audit=useful["audit"],
        wasted=wasted, reused=reused, spent=spent, exhaustive=exhaustive,
        saved=exhaustive - spent if known and exhaustive is not None else None,
        devices=sorted(devices), by_device=dict(sorted(devices.items())),
    )  # fmt: skip


def _seconds(run: Run) -> float:
    return run.seconds + run.wasted_seconds


def _exhaustive(snapshot: Snapshot, evidence: Evidence, teachers: float) -> float | None:
    """Seconds that training every arm fully with every seed would have cost, at the pace measured for each arm.

    Arms that were never timed are taken at the mean pace of the others; None when none was.
    """
    found = paces(snapshot, evidence)
    known = [pace for pace in found if pace is not None]
    if not known:
        return None
    epochs = len(snapshot.plan.seeds) * snapshot.plan.epochs
    return teachers + epochs * sum(fmean(known) if pace is None else pace for pace in found)
