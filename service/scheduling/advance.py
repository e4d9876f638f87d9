"""What happens to a job next. Called whenever something may have changed: after submission, after any of its runs.

`advance_job` looks at all rows anew and does what should be done now and is not yet, so it may be called at any time,
twice, or too late. It holds the job's row, so two calls never interleave. The order in which runs end changes nothing
(`dpk_core.selection.decide.schedule`).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from sqlalchemy.orm import Session

from dpk_core.codec import to_json
from dpk_core.randomness import derive
from dpk_core.selection.decide.job_results import LEAST_SEEDS, JobResults
from dpk_core.selection.decide.schedule import Decision, Rules, Wait, next_decision
from dpk_core.selection.decide.verdict import Verdict, decide
from dpk_core.spec import TRAINING_VERSION, RunSpec
from service.database.documents import read_stored
from service.database.tables import JobRun
from service.database.types import epoch_now, utc_now
from service.events import repository as events
from service.health import repository as health
from service.runs import repository as runs
from service.runs.service import request_cancel
from service.scheduling import repository
from service.scheduling.candidate_status import candidate_status, failure, promoted, stage
from service.scheduling.costs import student_seconds, total_seconds
from service.scheduling.evidence import NOT_ASKED, job_results, step_state
from service.scheduling.outcome import Outcome, outcome
from service.scheduling.plan import Plan
from service.scheduling.snapshot import OVER, ArmRuns, Snapshot, lock_order
from service.scheduling.states import STAGES, CandidateStatus, JobFailure, Reason
from service.settings import settings

CUT_SHORT = frozenset({"waiting", "preparing", "promoted"})
"""Where a limit may find a candidate."""

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
    if job.state == "paused":
        _refresh(session, snapshot, over=False)
        _announce_runs(session, snapshot)
        job.cost = total_seconds(snapshot)
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
        _fail(session, snapshot, JobFailure(kind="all_failed"))
    else:
        _conclude(session, snapshot, over=over)


def _start(session: Session, snapshot: Snapshot) -> None:
    job = snapshot.job
    job.state, job.started_at, job.started_epoch = "running", utc_now(), epoch_now()
    job.slots = snapshot.plan.spending.slots or max(1, health.slots(session, settings().silence_seconds))
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
    """Makes the runs of what was decided, and new decisions as long as nothing is to be waited for. True: there is no
    more."""
    while True:
        if not late:
            _link_students(session, snapshot)
        if late and not all(arm.settled for arm in snapshot.arms):
            return False
        if not late and not all(arm.prepared or arm.first_failed is not None for arm in snapshot.arms):
            return False
        decision = _next_decision(session, snapshot, late=late)
        if decision is None:
            return True
        if decision == "wait":
            return False
        _add_decision(session, snapshot, decision)


def _link_students(session: Session, snapshot: Snapshot) -> None:
    plan = snapshot.plan
    _link(session, snapshot, [
        (arm, begun.purpose, plan.student_run(begun.step.teacher, begun.step.seed, plan.rungs[begun.step.rung]))
        for arm, begun in snapshot.missing()
    ])  # fmt: skip


def _next_decision(session: Session, snapshot: Snapshot, *, late: bool) -> Decision | Wait | None:
    spending = snapshot.plan.spending
    # Without a limit the same question gives the same decisions, whatever part of the answer is stored.
    stored = repository.stored(session, snapshot.plan) if spending.is_limited else NOT_ASKED
    results = job_results(snapshot, repository.measured(session, snapshot), stored)
    rules = Rules(
        policy=spending.policy, promote=snapshot.plan.promote, slots=snapshot.job.slots or 1, chance=spending.chance,
        margin=spending.margin, seconds=spending.seconds, runs=spending.runs,
        audited=functools.partial(_audited, snapshot.plan),
    )  # fmt: skip
    decision = next_decision(
        results, snapshot.decisions, functools.partial(step_state, snapshot), rules,
        spent=student_seconds(snapshot), late=late,
    )  # fmt: skip
    if decision is not None and decision != "wait" and decision.stage == "confirming":
        _explain(session, snapshot, decision)
    return decision


def _audited(plan: Plan, dropped: Sequence[str]) -> str | None:
    """Now and then a dropped teacher, drawn by what the job asks and by nothing else."""
    asked = [plan.student, plan.data_fingerprint, plan.method.name, *sorted(filter(None, plan.arms))]
    if not dropped or derive(0, "audit", *asked) >= plan.spending.audit * 2**63:
        return None
    return sorted(dropped)[derive(0, "audited", *asked) % len(dropped)]


def _add_decision(session: Session, snapshot: Snapshot, decision: Decision) -> None:
    snapshot.decisions.append(decision)
    number = len(snapshot.decisions)
    repository.add_decision(session, snapshot.job.id, number, decision)
    _move_stage_to(session, snapshot, decision.stage)
    facts = {
        "number": number,
        "stage": decision.stage,
        "reason": to_json(decision.reason),
        "steps": len(decision.steps),
    }
    events.record(session, snapshot.job.id, "decision", facts)


def _explain(session: Session, snapshot: Snapshot, decision: Decision) -> None:
    """Why each candidate is or is not trained fully, stored once; the newly promoted hear of it when they are."""
    before, now = promoted(snapshot), {None, *decision.promoted, decision.audited}
    reasons: dict[str | None, Reason] = {None: Reason(kind="baseline")}
    reasons |= {each.teacher: Reason(kind="promotion", promotion=each) for each in decision.promotions}
    if decision.audited is not None:
        reasons[decision.audited] = Reason(kind="audit")
    for arm in snapshot.arms:
        teacher = arm.candidate.teacher
        if arm.first_failed is None and (snapshot.confirming is None or teacher in now - before):
            status: CandidateStatus = "promoted" if teacher in now else "not_promoted"
            _set_status(session, arm, status, reasons.get(teacher, Reason(kind="near_chance")))


def _link(session: Session, snapshot: Snapshot, wanted: Wanted) -> None:
    """Makes or finds the runs and locks them. A finished run that went further may serve several; it is linked once."""

    def place(each: tuple[ArmRuns, str, RunSpec]) -> tuple[bool, int, str, str]:
        arm, purpose, spec = each
        return lock_order(purpose, spec.training.seed, arm.candidate.teacher, spec.key())

    linked = {(link.candidate_id, link.run_id) for link, _ in snapshot.links}
    for arm, purpose, spec in sorted(wanted, key=place):
        kind = "teacher" if purpose == "teacher" else "full" if spec.is_full else "probe"
        run, reused = runs.find_or_create(session, spec, kind)
        if (arm.candidate.id, run.id) in linked:
            continue
        linked.add((arm.candidate.id, run.id))
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
        status = candidate_status(arm, snapshot)
        if over and status in CUT_SHORT:
            status = _at_end(arm, snapshot)
        stored = arm.candidate.reason
        _set_status(session, arm, status, failure(arm) or (None if stored is None else read_stored(Reason, stored)))
    _move_stage_to(session, snapshot, stage(snapshot, over=over))


def _at_end(arm: ArmRuns, snapshot: Snapshot) -> CandidateStatus:
    """Of a candidate with trainings left: a limit stopped it, or the rest could not change the verdict's word."""
    plan = snapshot.plan
    if plan.spending.is_limited or snapshot.confirming is None:
        return "stopped"
    trained = sum(arm.reached(seed) == plan.epochs for seed in plan.seeds)
    return "finished" if trained >= min(LEAST_SEEDS, len(plan.seeds)) else "not_promoted"


def _set_status(session: Session, arm: ArmRuns, status: CandidateStatus, reason: Reason | None) -> None:
    candidate, facts = arm.candidate, None if reason is None else to_json(reason)
    if (candidate.status, candidate.reason) == (status, facts):
        return
    candidate.status, candidate.reason = status, facts
    event = {"candidate_id": candidate.id, "teacher": candidate.teacher, "status": status, "reason": facts}
    events.record(session, candidate.job_id, "candidate_changed", event)


def _move_stage_to(session: Session, snapshot: Snapshot, reached: str) -> None:
    """Passes every stage on the way, so that the sequence of events has no gaps."""
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
            event = {
                "run_id": run.id, "candidate_id": link.candidate_id, "purpose": link.purpose, "seed": link.seed,
                "state": run.state, "reused": link.reused, "failure": run.failure,
                "validation_score": None if run.result is None else run.result["validation_score"],
            }  # fmt: skip
            events.record(session, snapshot.job.id, "run_finished", event)


def _conclude(session: Session, snapshot: Snapshot, *, over: bool) -> None:
    """Says what can be said, and ends the job when nothing more will come."""
    job = snapshot.job
    results = job_results(snapshot, repository.measured(session, snapshot))
    verdict = _say_verdict(session, snapshot, results, final=over)
    job.gain, job.cost = -1.0 if verdict.gain is None else verdict.gain.value, total_seconds(snapshot)
    if over:
        _add_outcome(snapshot, outcome(snapshot, verdict, results))
        job.state, job.finished_at = "finished", utc_now()
        events.record(session, job.id, "finished", {})


def _add_outcome(snapshot: Snapshot, found: Outcome) -> None:
    snapshot.job.decided, snapshot.job.strength = found.is_decided, found.strength
    snapshot.job.outcome = to_json(found)


def _say_verdict(session: Session, snapshot: Snapshot, results: JobResults, *, final: bool) -> Verdict:
    job, spending = snapshot.job, snapshot.plan.spending
    verdict = decide(results, final=final, prefer_cheaper=spending.prefer_cheaper, margin=spending.margin)
    document = to_json(verdict)
    last = repository.newest_verdicts(session, [job.id]).get(job.id)
    if last is None or last.document != document:
        repository.add_verdict(session, job.id, 1 if last is None else last.number + 1, document)
        events.record(session, job.id, "verdict", document)
    return verdict


def _conclude_cancelling(session: Session, snapshot: Snapshot) -> None:
    """Cancelled is said only when every process that worked for this job alone is gone."""
    job = snapshot.job
    going = {run.id for _, run in snapshot.links if run.state not in OVER}
    if going - repository.needed_elsewhere(session, job.id, going):
        return
    _cancel_candidates(session, snapshot)
    job.state, job.finished_at, job.cost = "cancelled", utc_now(), total_seconds(snapshot)
    events.record(session, job.id, "cancelled", {})


def _conclude_outdated(session: Session, snapshot: Snapshot) -> None:
    """This code would make other trainings than the plan names, and those would find no teacher made alike."""
    request_cancel(session, snapshot.unfinished(), snapshot.job.id)
    _announce_runs(session, snapshot)
    _cancel_candidates(session, snapshot)
    _fail(session, snapshot, JobFailure(kind="outdated", before=snapshot.plan.version, now=TRAINING_VERSION))


def _cancel_candidates(session: Session, snapshot: Snapshot) -> None:
    for arm in snapshot.arms:
        if arm.candidate.status not in ("finished", "not_promoted", "failed"):
            _set_status(session, arm, "cancelled", None)


def _fail(session: Session, snapshot: Snapshot, failure: JobFailure) -> None:
    job = snapshot.job
    job.state, job.finished_at, job.failure = "failed", utc_now(), to_json(failure)
    job.cost = total_seconds(snapshot)
    events.record(session, job.id, "failed", {"failure": job.failure})
