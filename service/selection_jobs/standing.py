"""Where a candidate stands, read off its runs and its job's rounds; pure, and the same in whatever order runs ended."""

from __future__ import annotations

from collections.abc import Sequence

from service.database.tables import Run
from service.selection_jobs.rounds import Round
from service.selection_jobs.schemas import CandidateStatus, Stage
from service.selection_jobs.snapshot import ArmRuns, Snapshot

Standing = tuple[CandidateStatus, str | None]

STAGES: tuple[Stage, ...] = ("preparing_teachers", "exploring", "confirming", "deciding")
"""In order; a job's stage only moves forward."""

BASELINE_REASON = "Always trained fully: it is what every teacher is measured against."
AUDIT_REASON = "Trained fully all the same, as an audit of what is dropped."


def standing(arm: ArmRuns, snapshot: Snapshot) -> Standing:
    """The candidate's status and why. A reason that was given for a decision is kept."""
    if arm.first_failed is not None:
        return "failed", _failure(arm.first_failed)
    if not arm.prepared:
        return ("preparing" if arm.teacher is not None and arm.teacher.state == "running" else "waiting"), None
    confirming = snapshot.confirming
    if confirming is not None:
        return _decided(arm, snapshot, confirming), arm.candidate.reason
    if arm.candidate.teacher is None:
        return "waiting", None
    return ("exploring" if arm.students else "prepared"), None


def failure_sentence(arms: Sequence[ArmRuns]) -> str:
    """Why a job failed whose every arm did; each cause once, with the arms that it ended."""
    causes: dict[str, list[str]] = {}
    for arm in arms:
        if (run := arm.first_failed) is not None:
            causes.setdefault(run.failure or "No reason is known.", []).append(arm.label)
    if len(causes) == 1:
        return f"No arm was trained to the end. {next(iter(causes))}"
    said = [f"{', '.join(labels)}: {cause}" for cause, labels in causes.items()]
    return " ".join(["No arm was trained to the end.", *said])


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


def _decided(arm: ArmRuns, snapshot: Snapshot, confirming: Round) -> CandidateStatus:
    if is_trained(arm, snapshot):
        return "finished"
    if arm.candidate.teacher not in (None, *confirming.promoted, confirming.audited):
        return "not_promoted"
    return "stopped" if arm.candidate.status == "stopped" else "promoted"


def _failure(run: Run) -> str:
    if run.purpose == "teacher":
        return f"The preparation failed: {run.failure}"
    return f"The training with seed {run.seed} failed: {run.failure}"
