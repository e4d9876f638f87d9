"""What happens to a job next. Called whenever something may have changed: after submission, after any of its runs.

`advance_job` looks at all rows anew and does what should be done now and is not yet, so it may be called at any time,
twice, or too late. It holds the job's row, so two calls never interleave. The order in which runs end changes nothing.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from dpk_core.codec import to_json
from dpk_core.selection.policy import promotions
from dpk_core.selection.verdict import decide
from dpk_core.spec import RunSpec
from service.database.tables import JobRun
from service.database.types import utc_now
from service.events import repository as events
from service.runs import repository as runs
from service.selection_jobs import history, repository
from service.selection_jobs.schemas import CandidateStatus
from service.selection_jobs.snapshot import OVER, ArmRuns, Snapshot, lock_order
from service.selection_jobs.standing import STAGES, fulls_over, prepared, probes_over, stage, standing

BASELINE_REASON = "Always trained fully: it is what every teacher is measured against."


def advance_job(session: Session, job_id: str) -> None:
    """Moves the job as far as it can go now, in the caller's transaction. An unknown or ended job is left alone."""
    job = repository.lock(session, job_id)
    if job is None or job.state in ("finished", "failed", "cancelled"):
        return
    snapshot = repository.snapshot(session, job)
    if job.state == "queued":
        job.state, job.started_at = "running", utc_now()
    if job.state == "running":
        _start_preparations_and_probes(session, snapshot)
        _announce_runs(session, snapshot)
        _refresh(session, snapshot)
        _decide_promotions(session, snapshot)
        _start_full_trainings(session, snapshot)
        _refresh(session, snapshot)
        _move_stage(session, snapshot)
    _announce_runs(session, snapshot)
    if job.state == "running":
        _conclude(session, snapshot)
    else:
        _conclude_cancelling(session, snapshot)


def _start_preparations_and_probes(session: Session, snapshot: Snapshot) -> None:
    plan = snapshot.plan
    unprepared = [arm for arm in snapshot.arms if arm.candidate.teacher is not None and arm.teacher is None]
    _link(session, snapshot, "teacher", [(arm, plan.teacher_run(arm.candidate.teacher or "")) for arm in unprepared])
    if _decided(snapshot):
        return
    probes = [
        (arm, plan.student_run(arm.candidate.teacher, seed, full=False))
        for arm in snapshot.arms
        if prepared(arm)
        for seed in plan.seeds
        if seed not in arm.probes
    ]
    _link(session, snapshot, "probe", probes)


def _decide_promotions(session: Session, snapshot: Snapshot) -> None:
    """Once, when every arm's probes are over."""
    if _decided(snapshot) or not all(probes_over(arm, snapshot.plan.seeds) for arm in snapshot.arms):
        return
    state = snapshot.state(history.pairs(session, snapshot.job, snapshot.plan))
    chosen = {promotion.teacher: promotion for promotion in promotions(state)}
    _move_stage_to(session, snapshot, "training")
    for arm in snapshot.arms:
        if arm.first_failed is not None:
            continue
        if arm.candidate.teacher is None:
            _set_status(session, arm, "promoted", BASELINE_REASON)
        else:
            promotion = chosen[arm.candidate.teacher]
            _set_status(session, arm, "promoted" if promotion.promoted else "not_promoted", promotion.reason)


def _start_full_trainings(session: Session, snapshot: Snapshot) -> None:
    wanted = [
        (arm, snapshot.plan.student_run(arm.candidate.teacher, seed, full=True))
        for arm in snapshot.arms
        if arm.candidate.status == "promoted"
        for seed in snapshot.plan.seeds
        if seed not in arm.fulls
    ]
    _link(session, snapshot, "full", wanted)


def _link(session: Session, snapshot: Snapshot, purpose: str, wanted: list[tuple[ArmRuns, RunSpec]]) -> None:
    """Makes or finds the runs and locks them."""

    def place(pair: tuple[ArmRuns, RunSpec]) -> tuple[int, int, str, str]:
        arm, spec = pair
        return lock_order(purpose, spec.training.seed, arm.candidate.teacher, spec.key())

    for arm, spec in sorted(wanted, key=place):
        run, reused = runs.find_or_create(session, spec, purpose)
        link = JobRun(
            job_id=snapshot.job.id, candidate_id=arm.candidate.id, run_id=run.id, purpose=purpose,
            seed=spec.training.seed, reused=reused,
        )  # fmt: skip
        session.add(link)
        snapshot.links.append((link, run))
        arm.put(purpose, spec.training.seed, run)


def _refresh(session: Session, snapshot: Snapshot) -> None:
    for arm in snapshot.arms:
        _set_status(session, arm, *standing(arm, snapshot.plan.seeds))


def _set_status(session: Session, arm: ArmRuns, status: CandidateStatus, reason: str | None) -> None:
    candidate = arm.candidate
    if (candidate.status, candidate.reason) == (status, reason):
        return
    candidate.status, candidate.reason = status, reason
    told = {"candidate_id": candidate.id, "teacher": candidate.teacher, "status": status, "reason": reason}
    events.record(session, candidate.job_id, "candidate_changed", told)


def _decided(snapshot: Snapshot) -> bool:
    return snapshot.job.stage in ("training", "deciding")


def _move_stage(session: Session, snapshot: Snapshot) -> None:
    reached = stage(snapshot.arms, snapshot.plan.seeds, decided=_decided(snapshot))
    _move_stage_to(session, snapshot, reached)


def _move_stage_to(session: Session, snapshot: Snapshot, reached: str) -> None:
    """Passes every stage on the way, so that the story told by the events has no gaps."""
    job = snapshot.job
    passed = -1 if job.stage is None else STAGES.index(job.stage)
    for name in STAGES[passed + 1 : STAGES.index(reached) + 1]:
        job.stage = name
        events.record(session, job.id, "stage_changed", {"stage": name})


def _announce_runs(session: Session, snapshot: Snapshot) -> None:
    """Tells once of every run of this job that has ended."""
    announced = events.announced_runs(session, snapshot.job.id)
    for link, run in snapshot.links:
        if run.state in OVER and run.id not in announced:
            told = {
                "run_id": run.id, "candidate_id": link.candidate_id, "purpose": link.purpose, "seed": link.seed,
                "state": run.state, "reused": link.reused, "failure": run.failure,
                "validation_accuracy": None if run.result is None else run.result["validation_accuracy"],
            }  # fmt: skip
            events.record(session, snapshot.job.id, "run_finished", told)


def _conclude(session: Session, snapshot: Snapshot) -> None:
    """Says what can be said, and ends the job when nothing more will come."""
    job, arms = snapshot.job, snapshot.arms
    over = _decided(snapshot) and all(fulls_over(arm, snapshot.plan.seeds) for arm in arms)
    _say_verdict(session, snapshot, final=over)
    if over and all(arm.first_failed is not None for arm in arms):
        job.state, job.finished_at = "failed", utc_now()
        job.failure = "No arm gave a result. " + " ".join(f"{arm.arm().label}: {arm.candidate.reason}" for arm in arms)
        events.record(session, job.id, "failed", {"failure": job.failure})
    elif over:
        job.state, job.finished_at = "finished", utc_now()
        events.record(session, job.id, "finished", {})


def _say_verdict(session: Session, snapshot: Snapshot, *, final: bool) -> None:
    job = snapshot.job
    state = snapshot.state(history.pairs(session, job, snapshot.plan))
    document = to_json(decide(state, final=final))
    last = repository.newest_verdicts(session, [job.id]).get(job.id)
    if last is None or last.document != document:
        repository.add_verdict(session, job.id, 1 if last is None else last.number + 1, document)
        events.record(session, job.id, "verdict", document)


def _conclude_cancelling(session: Session, snapshot: Snapshot) -> None:
    """Cancelled is said only when every process that worked for this job alone is gone."""
    job = snapshot.job
    going = {run.id for _, run in snapshot.links if run.state not in OVER}
    if going - repository.needed_elsewhere(session, job.id, going):
        return
    for arm in snapshot.arms:
        if arm.candidate.status not in ("finished", "not_promoted", "failed"):
            _set_status(session, arm, "cancelled", None)
    job.state, job.finished_at = "cancelled", utc_now()
    events.record(session, job.id, "cancelled", {})
