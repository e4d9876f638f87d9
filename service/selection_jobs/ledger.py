"""What a job spent, what it saved, and on what; pure. A run that was finished before the job asked for it is free."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean

from service.database.tables import JobRun, Run
from service.selection_jobs import schemas
from service.selection_jobs.snapshot import ArmRuns, Snapshot


def row_seconds(links: Iterable[tuple[JobRun, Run]], candidate_id: int) -> float:
    """Seconds spent for one candidate, those that led nowhere included."""
    return sum(
        run.seconds + run.wasted_seconds for link, run in links if link.candidate_id == candidate_id and not link.reused
    )


def ledger(snapshot: Snapshot) -> schemas.Ledger:
    """The job's training seconds by purpose. Failed and cancelled runs are waste."""
    useful = {"teacher": 0.0, "probe": 0.0, "full": 0.0}
    wasted = reused = 0.0
    for link, run in snapshot.links:
        if link.reused:
            reused += run.seconds
            continue
        wasted += run.wasted_seconds
        if run.state in ("failed", "cancelled"):
            wasted += run.seconds
        else:
            useful[link.purpose] += run.seconds
    spent = sum(useful.values()) + wasted
    exhaustive = _exhaustive(snapshot, useful["teacher"])
    known = exhaustive is not None and snapshot.job.state == "finished"
    return schemas.Ledger(
        teachers=useful["teacher"], probes=useful["probe"], full=useful["full"], wasted=wasted, reused=reused,
        spent=spent, exhaustive=exhaustive, saved=exhaustive - spent if known and exhaustive is not None else None,
        devices=sorted({run.device for link, run in snapshot.links if run.device is not None and not link.reused}),
    )  # fmt: skip


def _exhaustive(snapshot: Snapshot, teachers: float) -> float | None:
    """Seconds that training every arm fully with every seed would have cost, at the pace measured for each arm.

    Arms that were never timed are taken at the mean pace of the others; None when none was.
    """
    paces = [
        _seconds_per_epoch(arm, snapshot.plan.probe_epochs, snapshot.plan.student_recipe.epochs)
        for arm in snapshot.arms
    ]
    known = [pace for pace in paces if pace is not None]
    if not known:
        return None
    epochs = len(snapshot.plan.seeds) * snapshot.plan.student_recipe.epochs
    return teachers + epochs * sum(fmean(known) if pace is None else pace for pace in paces)


def _seconds_per_epoch(arm: ArmRuns, probe_epochs: int, epochs: int) -> float | None:
    seconds: list[float] = []
    for seed, probe in sorted(arm.probes.items()):
        full = arm.fulls.get(seed)
        if probe.state != "finished":
            continue
        if full is not None and full.state == "finished":
            seconds.append((probe.seconds + full.seconds) / epochs)
        else:
            seconds.append(probe.seconds / probe_epochs)
    return fmean(seconds) if seconds else None
