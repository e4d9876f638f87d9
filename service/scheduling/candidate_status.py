"""Where a candidate stands, read off its runs and its job's decisions; the same in whatever order runs ended; pure."""

from __future__ import annotations

from dpk_core.selection.decide.schedule import since_reopened
from service.scheduling.snapshot import ArmRuns, Snapshot
from service.scheduling.states import CandidateStatus, Reason, Stage


def candidate_status(arm: ArmRuns, snapshot: Snapshot) -> CandidateStatus:
    """The candidate's status."""
    if arm.first_failed is not None:
        return "failed"
    if not arm.prepared:
        return "preparing" if arm.teacher is not None and arm.teacher.state == "running" else "waiting"
    if snapshot.confirming is not None:
        return _decided(arm, snapshot)
    if arm.candidate.teacher is None:
        return "waiting"
    return "exploring" if arm.students else "prepared"


def failure(arm: ArmRuns) -> Reason | None:
    """Why a candidate failed; None where it did not."""
    run = arm.first_failed
    if run is None:
        return None
    return Reason(kind="failed", failure=run.failure, seed=None if run.purpose == "teacher" else run.seed)


def is_trained(arm: ArmRuns, snapshot: Snapshot) -> bool:
    """Whether its student came to the end of its training on every seed."""
    return all(arm.reached(seed) == snapshot.plan.epochs for seed in snapshot.plan.seeds)


def stage(snapshot: Snapshot, *, over: bool) -> Stage:
    """The earliest stage with something left to do."""
    if over:
        return "deciding"
    if not all(arm.prepared or arm.first_failed is not None for arm in snapshot.arms):
        return "preparing_teachers"
    if snapshot.confirming is None:
        return "exploring"
    return "confirming"


def promoted(snapshot: Snapshot) -> frozenset[str | None]:
    """Whoever is trained fully: the teachers that any decision promoted since the job last began to explore, the
    audited one and no teacher."""
    found: set[str | None] = {None}
    for each in since_reopened(snapshot.decisions):
        found |= {*each.promoted, *([each.audited] if each.audited is not None else [])}
    return frozenset(found)


def _decided(arm: ArmRuns, snapshot: Snapshot) -> CandidateStatus:
    if is_trained(arm, snapshot):
        return "finished"
    if arm.candidate.teacher not in promoted(snapshot):
        return "not_promoted"
    return "stopped" if arm.candidate.status == "stopped" else "promoted"
