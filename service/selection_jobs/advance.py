"""What happens to a job next. Called whenever something may have changed: after submission, after any of its runs.

`advance_job` looks at all rows anew and does what should be done now and is not yet, so it may be called at any time,
twice, or too late. It holds the job's row, so two calls never interleave. The order in which runs end changes nothing:
a round is decided when every run of the one before is over.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from dpk_core.codec import to_json
from dpk_core.selection.decide.promotion import promotions
from dpk_core.selection.decide.verdict import decide
from dpk_core.spec import TRAINING_VERSION, RunSpec
from service.database.tables import JobRun
from service.database.types import epoch_now, utc_now
from service.events import repository as events
from service.runs import repository as runs
from service.runs.service import request_cancel
from service.selection_jobs import history, repository
from service.selection_jobs.evidence import NOT_ASKED, Evidence, knowledge, paces
from service.selection_jobs.ledger import student_seconds
from service.selection_jobs.next_round import Situation, next_round
from service.selection_jobs.rounds import Round
from service.selection_jobs.schemas import CandidateStatus
from service.selection_jobs.snapshot import OVER, ArmRuns, Snapshot, lock_order
from service.selection_jobs.standing import AUDIT_REASON, BASELINE_REASON, STAGES, failure_sentence, stage, standing

CUT_SHORT = frozenset({"waiting", "preparing", "promoted"})
"""Where a limit may find a candidate."""

OUTDATED = (
    "The training code changed while the job was under way (version {before} → {now}); submit it again: what was "
    "finished before is not mixed with what comes now."
)

Wanted = Sequence[tuple[ArmRuns, str, RunSpec]]
"""Runs to make or find, each with its arm and purpose."""


def advance_job(session: Session, job_id: str) -> None:
    """Moves the job as far as it can go now, in the caller's transaction. An unknown or ended job is left alone."""
    job = repository.lock(session, job_id)
    if job is None or job.state in ("finished", "failed", "cancelled"):
        return
    snapshot = repository.snapshot(session, job)
    if job.state == "cancelling":
        _announce_runs(session, snapshot)
        _conclude_cancelling(session, snapshot)
        return
    if snapshot.plan.version != TRAINING_VERSION:
        _conclude_outdated(session, snapshot)
        return
    if job.state == "queued":
        _start(session, snapshot)
    late = repository.is_late(session, job, snapshot.plan.spending.wall_seconds)
    if late:
        snapshot = _let_go(session, snapshot)
    else:
        _prepare_teachers(session, snapshot)
    _refresh(session, snapshot, over=False)
    over = _train(session, snapshot, late=late)
    failed = over and all(arm.first_failed is not None for arm in snapshot.arms)
    _refresh(session, snapshot, over=over and not failed)
    _announce_runs(session, snapshot)
    if failed:
        _fail(session, snapshot, failure_sentence(snapshot.arms))
    else:
        _conclude(session, snapshot, over=over)


def _start(session: Session, snapshot: Snapshot) -> None:
    job = snapshot.job
    job.state, job.started_at, job.started_epoch = "running", utc_now(), epoch_now()
    job.prior = to_json(history.learned(session, job, snapshot.plan))
    session.flush()


def _prepare_teachers(session: Session, snapshot: Snapshot) -> None:
    unprepared = [arm for arm in snapshot.arms if arm.candidate.teacher is not None and arm.teacher is None]
    plan = snapshot.plan
    _link(session, snapshot, [(arm, "teacher", plan.teacher_run(arm.candidate.teacher or "")) for arm in unprepared])


def _let_go(session: Session, snapshot: Snapshot) -> Snapshot:
    """The time is over: what is under way ends, or goes on without this job where another one needs it."""
    left = request_cancel(session, snapshot.unfinished(), snapshot.job.id)
    for link, run in snapshot.links:
        if run.id in left:
            session.delete(link)
    session.flush()
    return repository.snapshot(session, snapshot.job)


def _train(session: Session, snapshot: Snapshot, *, late: bool) -> bool:
    """Makes the newest round's runs, and new rounds as long as nothing is to be waited for. True: there is no more."""
    while True:
        if not late:
            _link_students(session, snapshot)
        if not all(arm.settled for arm in snapshot.arms):
            return False
        decided = _next_round(session, snapshot, late=late)
        if decided is None:
            return True
        _add_round(session, snapshot, decided)


def _link_students(session: Session, snapshot: Snapshot) -> None:
    plan = snapshot.plan
    _link(session, snapshot, [
        (arm, step.purpose, plan.student_run(step.teacher, step.seed, step.epochs)) for arm, step in snapshot.missing()
    ])  # fmt: skip


def _next_round(session: Session, snapshot: Snapshot, *, late: bool) -> Round | None:
    evidence = repository.evidence(session, snapshot)
    # Without a limit the same question gives the same rounds, whatever part of the answer is stored.
    stored = repository.stored(session, snapshot.plan) if snapshot.plan.spending.is_limited else NOT_ASKED
    situation = Situation(
        plan=snapshot.plan,
        known=knowledge(snapshot, evidence, stored),
        rounds=snapshot.rounds,
        spent=student_seconds(snapshot),
        timed=any(pace is not None for pace in paces(snapshot, evidence)),
        late=late,
    )
    decided = next_round(situation)
    if decided is not None and decided.stage == "confirming":
        _explain(session, snapshot, decided, evidence)
    return decided


def _add_round(session: Session, snapshot: Snapshot, decided: Round) -> None:
    snapshot.rounds.append(decided)
    number = len(snapshot.rounds)
    repository.add_round(session, snapshot.job.id, number, decided)
    told = {"number": number, "stage": decided.stage, "reason": decided.reason, "steps": len(decided.steps)}
    _move_stage_to(session, snapshot, decided.stage)
    events.record(session, snapshot.job.id, "round_decided", told)


def _explain(session: Session, snapshot: Snapshot, decided: Round, evidence: Evidence) -> None:
    """Why each candidate is or is not trained fully, said once; the newly promoted hear of it when they are."""
    before = snapshot.confirming
    reasons: dict[str | None, str] = {None: BASELINE_REASON}
    for promotion in promotions(knowledge(snapshot, evidence), snapshot.plan.promote):
        reasons[promotion.teacher] = AUDIT_REASON if promotion.teacher == decided.audited else promotion.reason
    for arm in snapshot.arms:
        teacher = arm.candidate.teacher
        if arm.first_failed is None and (before is None or teacher in set(decided.promoted) - set(before.promoted)):
            trained = teacher in (None, *decided.promoted, decided.audited)
            _set_status(session, arm, "promoted" if trained else "not_promoted", reasons[teacher])


def _link(session: Session, snapshot: Snapshot, wanted: Wanted) -> None:
    """Makes or finds the runs and locks them."""

    def place(each: tuple[ArmRuns, str, RunSpec]) -> tuple[bool, int, str, str]:
        arm, purpose, spec = each
        return lock_order(purpose, spec.training.seed, arm.candidate.teacher, spec.key())

    for arm, purpose, spec in sorted(wanted, key=place):
        kind = "teacher" if purpose == "teacher" else "full" if spec.is_full else "probe"
        run, reused = runs.find_or_create(session, spec, kind)
        link = JobRun(
            job_id=snapshot.job.id, candidate_id=arm.candidate.id, run_id=run.id, purpose=purpose,
            seed=spec.training.seed, reused=reused,
        )  # fmt: skip
        session.add(link)
        snapshot.links.append((link, run))
        arm.put(purpose, spec.training.seed, run)
    session.flush()


def _refresh(session: Session, snapshot: Snapshot, *, over: bool) -> None:
    for arm in snapshot.arms:
        status, reason = standing(arm, snapshot)
        _set_status(session, arm, "stopped" if over and status in CUT_SHORT else status, reason)
    _move_stage_to(session, snapshot, stage(snapshot, over=over))


def _set_status(session: Session, arm: ArmRuns, status: CandidateStatus, reason: str | None) -> None:
    candidate = arm.candidate
    if (candidate.status, candidate.reason) == (status, reason):
        return
    candidate.status, candidate.reason = status, reason
    told = {"candidate_id": candidate.id, "teacher": candidate.teacher, "status": status, "reason": reason}
    events.record(session, candidate.job_id, "candidate_changed", told)


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


def _conclude(session: Session, snapshot: Snapshot, *, over: bool) -> None:
    """Says what can be said, and ends the job when nothing more will come."""
    job = snapshot.job
    _say_verdict(session, snapshot, final=over)
    if over:
        job.state, job.finished_at = "finished", utc_now()
        events.record(session, job.id, "finished", {})


def _say_verdict(session: Session, snapshot: Snapshot, *, final: bool) -> None:
    job = snapshot.job
    known = knowledge(snapshot, repository.evidence(session, snapshot))
    spending = snapshot.plan.spending
    verdict = decide(known, final=final, prefer_cheaper=spending.prefer_cheaper, margin=spending.margin)
    document = to_json(verdict)
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
    _cancel_candidates(session, snapshot)
    job.state, job.finished_at = "cancelled", utc_now()
    events.record(session, job.id, "cancelled", {})


def _conclude_outdated(session: Session, snapshot: Snapshot) -> None:
    """This code would make other trainings than the plan names, and those would find no teacher made alike."""
    request_cancel(session, snapshot.unfinished(), snapshot.job.id)
    _announce_runs(session, snapshot)
    _cancel_candidates(session, snapshot)
    _fail(session, snapshot, OUTDATED.format(before=snapshot.plan.version, now=TRAINING_VERSION))


def _cancel_candidates(session: Session, snapshot: Snapshot) -> None:
    for arm in snapshot.arms:
        if arm.candidate.status not in ("finished", "not_promoted", "failed"):
            _set_status(session, arm, "cancelled", None)


def _fail(session: Session, snapshot: Snapshot, failure: str) -> None:
    job = snapshot.job
    job.state, job.finished_at, job.failure = "failed", utc_now(), failure
    events.record(session, job.id, "failed", {"failure": failure})
