"""What a job spent, what it saved, and on what; pure. A run that was finished before the job asked for it is free."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean

from dpk_core.selection.decide.schedule import REOPENING
from service.database.tables import JobRun, Run
from service.scheduling.costs import clock_seconds, row_seconds, run_seconds
from service.scheduling.evidence import Measured, paces
from service.scheduling.snapshot import ArmRuns, Snapshot
from service.wire import boards

_PURPOSES = {"teacher": "teachers", "explore": "exploring", "confirm": "confirming", "audit": "audit"}
"""What a link's purpose is called on the wire."""


def ledger(snapshot: Snapshot, measured: Measured) -> boards.Ledger:
    """The job's training seconds by purpose and by device. Failed and cancelled runs are waste, unless another run
    of the job went on from their checkpoint."""
    own = [(link, run) for link, run in snapshot.links if not link.reused]
    spent = sum(run_seconds(run) for _, run in own)
    exhaustive = _exhaustive(snapshot, measured)
    known = exhaustive is not None and snapshot.job.state == "finished"
    devices = sorted({run.device for _, run in own if run.device is not None})
    on_device = {device: [(link, run) for link, run in own if run.device == device] for device in devices}
    continued = _continued(snapshot)
    return boards.Ledger(
        **_purposes(own, continued).model_dump(),
        reused=sum(run.seconds for link, run in snapshot.links if link.reused),
        spent=spent,
        exhaustive=exhaustive,
        wall=_wall(snapshot),
        saved=exhaustive - spent if known and exhaustive is not None else None,
        devices=devices,
        by_device={device: sum(run_seconds(run) for _, run in links) for device, links in on_device.items()},
        purposes_by_device={device: _purposes(links, continued) for device, links in on_device.items()},
    )


def _wall(snapshot: Snapshot) -> float | None:
    """None of a job that explored anew, as it may have been over in between."""
    return None if any(each.reason.kind in REOPENING for each in snapshot.decisions) else clock_seconds(snapshot.job)


def _purposes(links: Iterable[tuple[JobRun, Run]], continued: frozenset[str]) -> boards.Purposes:
    found = dict.fromkeys((*_PURPOSES.values(), "wasted"), 0.0)
    for link, run in links:
        found["wasted"] += run.wasted_seconds
        found["wasted" if _was_in_vain(run, continued) else _PURPOSES[link.purpose]] += run.seconds
    return boards.Purposes(**found)


def _continued(snapshot: Snapshot) -> frozenset[str]:
    """The trainings that a run of this job went on with where another one had left them."""
    return frozenset(run.training_key for link, run in snapshot.links if run.inherited is not None and not link.reused)


def _was_in_vain(run: Run, continued: frozenset[str]) -> bool:
    return run.state in ("failed", "cancelled") and run.training_key not in continued


def _exhaustive(snapshot: Snapshot, measured: Measured) -> float | None:
    """Seconds that training every arm fully with every seed would have cost, at the pace measured for each arm.

    Arms that were never timed are taken at the mean pace of the others; None when none was. An arm that failed would
    have failed there too, and counts with what it cost here.
    """
    timed = [paces(arm, snapshot.plan, measured) for arm in snapshot.arms]
    found = [fmean(by_seed.values()) if by_seed else None for by_seed in timed]
    known = [pace for pace in found if pace is not None]
    if not known:
        return None
    seeds = len(snapshot.plan.seeds)
    return sum(
        _preparation(snapshot, arm) + seeds * (fmean(known) if pace is None else pace)
        if arm.first_failed is None
        else row_seconds(snapshot.links, arm.candidate.id)
        for arm, pace in zip(snapshot.arms, found, strict=True)
    )


def _preparation(snapshot: Snapshot, arm: ArmRuns) -> float:
    """Seconds in which this job prepared the arm's teacher."""
    continued = _continued(snapshot)
    return sum(
        run.seconds
        for link, run in snapshot.links
        if link.candidate_id == arm.candidate.id and link.purpose == "teacher" and not link.reused
        if not _was_in_vain(run, continued)
    )
