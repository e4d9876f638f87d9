"""Pause, resume, retry, add a teacher, name. Each looks first whether the job's state allows it, and says why it does
not; asked twice, each changes nothing the second time.

A pause needs nothing of its own in the store: its runs are cancelled as any others are, and resuming makes them anew,
which go on from their checkpoints. A failed run's row never changes; a retry puts another run in its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy.orm import Session

from dpk_core.codec import to_json
from dpk_core.nearest import nearest
from dpk_core.selection.decide.policies.policy import Reason
from dpk_core.selection.decide.schedule import Decision
from dpk_core.spec import TRAINING_VERSION
from service.database.session import reading, transaction
from service.database.tables import Candidate, JobRun, Run, SelectionJob
from service.database.types import epoch_now
from service.events import repository as events
from service.events.schemas import EventKind
from service.leaderboards.service import forget
from service.problems import Conflict, NotFound, Rejected
from service.runs import service as runs
from service.scheduling import repository
from service.scheduling.advance import advance_job
from service.scheduling.costs import student_seconds
from service.scheduling.evidence import begun_seeds
from service.scheduling.plan import Plan, PlannedDetectors
from service.scheduling.snapshot import Snapshot
from service.schemas import FieldError
from service.selection_jobs.changes import changes, data_now
from service.selection_jobs.preflight import check
from service.selection_jobs.service import get, job_of, missing
from service.settings import settings
from service.students.service import NO_TEACHER
from service.wire.choices import TeacherChoice
from service.wire.jobs import Job, JobDescription, SelectionJobRequest

MOST_TEACHERS = 32
_STATES = {
    "queued": "is waiting to begin", "running": "is running", "paused": "is paused", "finished": "has finished",
    "failed": "has failed", "cancelling": "is being cancelled", "cancelled": "was cancelled",
}  # fmt: skip
_ASK_ANEW = "Ask the same anew instead: it goes on from everything that was trained."


def pause(session: Session, job_id: str) -> Job:
    """Nothing new is begun, and what is under way stops at its checkpoint. Raises NotFound, Conflict."""
    job = _locked(session, job_id)
    if job.state == "paused":
        return get(session, job_id)
    if job.state not in repository.LIVE:
        raise Conflict(f"The job {_STATES[job.state]}; only one that waits or runs can be paused.")
    job.state, job.paused_epoch = "paused", epoch_now()
    session.flush()
    events.record(session, job_id, "paused", {})
    runs.request_cancel(session, repository.snapshot(session, job).unfinished(), job_id)
    return _moved(session, job)


def resume(session: Session, job_id: str) -> Job:
    """The job goes on where it stopped; a limit of wall-clock time does not count the pause. Raises as `pause`."""
    job = _locked(session, job_id)
    if job.state in repository.LIVE:
        return get(session, job_id)
    if job.state != "paused":
        raise Conflict(f"The job {_STATES[job.state]}; only one that is paused can be resumed.")
    job.state = "queued" if job.started_at is None else "running"
    if job.started_epoch is not None:
        job.started_epoch = SelectionJob.started_epoch + epoch_now() - SelectionJob.paused_epoch
    job.paused_epoch = None
    session.flush()
    events.record(session, job_id, "resumed", {})
    runs.keep(session, repository.snapshot(session, job).unfinished())
    return _moved(session, job)


def retry(session: Session, job_id: str, *, run: str | None = None, teacher: str | None = None) -> Job:
    """Puts another run in the place of each failed one: of the arm that `run` belongs to, of `teacher` (`none` for the
    arm without one), or of all. Raises NotFound, Rejected for another teacher, Conflict."""
    job = _locked(session, job_id)
    snapshot = repository.snapshot(session, job)
    _check_open(snapshot)
    chosen = _candidates(snapshot, run, teacher)
    failed = [(link, each) for link, each in snapshot.links if link.candidate_id in chosen and each.state == "failed"]
    again = [] if _is_retried(failed, run) else [(link, each) for link, each in failed if not link.retried]
    if not again:
        if failed:
            return get(session, job_id)
        raise Conflict(
            "No training of the job has failed." if teacher is None else f"Nothing under {teacher} has failed."
        )
    arms = {link.candidate_id for link, _ in again}
    # The students of a teacher whose weights turned out lost or broken need it trained anew.
    again += [(link, each) for link, each in snapshot.links if link.candidate_id in arms and _is_lost(link, each)]
    for link, _ in again:
        link.retried = True
    for arm in snapshot.arms:
        if arm.candidate.id in arms:
            arm.candidate.status, arm.candidate.reason = "waiting", None
    _explore_again(session, snapshot, Reason(kind="retried"))
    return _open(session, job, "retried", {"runs": sorted(each.id for _, each in again)})


def add_teacher(job_id: str, choice: TeacherChoice) -> Job:
    """The teacher joins the job's candidates, and the verdict is open again. Opens its own transactions, as pre-flight
    reads files. Raises NotFound; Rejected for a teacher that cannot work; Conflict."""
    with reading() as session:
        job = job_of(session, job_id)
        request = SelectionJobRequest.model_validate(job.request)
        snapshot = repository.snapshot(session, job)
        present = next((each for each in request.teachers if each.label == choice.label), None)
        if present == choice:
            return get(session, job_id)
        _check_open(snapshot)
        _check_room(snapshot)
    if present is not None:
        raise Rejected.at("teacher", f"{choice.label} is among the job's teachers already, prepared in another way.")
    wider = request.model_copy(update={"teachers": [*request.teachers, choice]})
    plan = _wider_plan(snapshot.plan, wider)
    with transaction() as session:
        job = _locked(session, job_id)
        if job.request != snapshot.job.request or job.state in ("cancelling", "cancelled"):
            raise Conflict("The job was changed by somebody else at the same moment; look at it and ask again.")
        _add_candidate(session, job, wider, plan)
        snapshot = repository.snapshot(session, job)
        _explore_again(session, snapshot, Reason(kind="teacher_added", teacher=choice.label))
        return _open(session, job, "teacher_added", {"teacher": choice.label})


def describe(session: Session, job_id: str, wanted: JobDescription) -> Job:
    """Gives the job another name or other tags, in whatever state it is. Raises NotFound."""
    job = _locked(session, job_id)
    before = job.name, repository.tags(session, [job_id])[job_id]
    given = wanted.model_fields_set
    name, tags = wanted.name if "name" in given else before[0], wanted.tags if "tags" in given else before[1]
    if (name, tags) != before:
        repository.describe(session, job, name, tags)
        events.record(session, job_id, "described", {"name": name, "tags": tags})
        repository.drop_board(session, job_id)
        forget(job_id)
    session.flush()
    session.refresh(job)
    return get(session, job_id)


def _locked(session: Session, job_id: str) -> SelectionJob:
    job = repository.lock(session, job_id)
    if job is None:
        raise missing(job_id)
    return job


def _moved(session: Session, job: SelectionJob) -> Job:
    session.refresh(job)
    advance_job(session, job.id)
    session.flush()
    session.refresh(job)
    return get(session, job.id)


def _check_open(snapshot: Snapshot) -> None:
    """Raises Conflict where nothing may be trained for the job any more."""
    if snapshot.job.state in ("cancelling", "cancelled"):
        raise Conflict(f"The job {_STATES[snapshot.job.state]}. {_ASK_ANEW}")
    if snapshot.plan.version != TRAINING_VERSION:
        raise Conflict(f"The training code has changed since the job was made. {_ASK_ANEW.partition(':')[0]}.")


def _check_room(snapshot: Snapshot) -> None:
    """Raises Conflict where a limit leaves nothing for another teacher."""
    plan = snapshot.plan
    if len(plan.arms) > MOST_TEACHERS:
        raise Conflict(f"The job has {MOST_TEACHERS} teachers already, as many as a job may compare.")
    begun = sum(len(begun_seeds(snapshot, arm)) for arm in snapshot.arms)
    used = plan.spending.runs is not None and begun >= plan.spending.runs
    spent = plan.spending.seconds is not None and student_seconds(snapshot) >= plan.spending.seconds
    if used or spent:
        limit = "trainings (budget.runs)" if used else "training time (budget.seconds)"
        raise Conflict(f"The job has used up its {limit}; ask anew with the teacher and a larger budget.")


def _candidates(snapshot: Snapshot, run: str | None, teacher: str | None) -> set[int]:
    """The candidates whose failed runs are meant."""
    if run is not None:
        known = {each.id: (link, each) for link, each in snapshot.links}
        if run not in known:
            raise NotFound(f"The job has no run {run!r}.")
        link, meant = known[run]
        if meant.state != "failed":
            raise Conflict(f"The run {run} is {meant.state}; only a failed one can be retried.")
        return {link.candidate_id}
    if teacher is not None:
        arms = {arm.candidate.teacher or NO_TEACHER: arm for arm in snapshot.arms}
        if teacher not in arms:
            near = nearest(teacher, arms)
            message = f"The job has no teacher {teacher!r}; it has {', '.join(arms)}."
            raise Rejected.because([FieldError(field="teacher", message=message, nearest=near)])
        return {arms[teacher].candidate.id}
    return {arm.candidate.id for arm in snapshot.arms}


def _is_lost(link: JobRun, run: Run) -> bool:
    """Whether the run is a teacher's preparation whose files cannot be used any more."""
    return link.purpose == "teacher" and run.withdrawn and not link.retried


def _is_retried(failed: Sequence[tuple[JobRun, Run]], run: str | None) -> bool:
    """Whether this very run was retried before: asked again, that is no wish to retry the run in its place."""
    return any(link.retried for link, each in failed if each.id == run)


def _explore_again(session: Session, snapshot: Snapshot, reason: Reason) -> None:
    """Takes back what was decided about the end, so that the policy is asked again."""
    if snapshot.confirming is not None:
        decision = Decision(stage="exploring", reason=reason, at=snapshot.decisions[-1].at, blind=False)
        number = len(snapshot.decisions) + 1
        repository.add_decision(session, snapshot.job.id, number, decision)
        facts = {"number": number, "stage": decision.stage, "reason": to_json(reason), "steps": 0}
        events.record(session, snapshot.job.id, "decision", facts)


def _open(session: Session, job: SelectionJob, kind: EventKind, data: dict[str, object]) -> Job:
    """Lets the job run, also one that was over, unless it is paused; what it was given for its end is taken back."""
    job.stage = None
    if job.state in ("finished", "failed"):
        job.state, job.started_epoch = "running", epoch_now()
        job.finished_at = job.failure = job.decided = job.strength = job.outcome = None
        repository.drop_board(session, job.id)
    session.flush()
    forget(job.id)
    events.record(session, job.id, kind, data)
    return _moved(session, job)


def _wider_plan(plan: Plan, request: SelectionJobRequest) -> Plan:
    """The job's plan with the last of the request's teachers."""
    place = f"teachers[{len(request.teachers) - 1}]"
    try:
        now = check(request, settings().data_root, settings().weights_root)
    except Rejected as error:
        raise Rejected.because([
            each.model_copy(update={"field": each.field.replace(place, "teacher")}) for each in error.errors
        ]) from error  # fmt: skip
    added = request.teachers[-1].label
    new = {key: value for key, value in now.preparations.items() if key == added}
    wider = replace(
        plan, arms=now.arms, promote=now.promote, preparations={**plan.preparations, **new},
        taps={**plan.taps, added: now.taps.get(added, ())},
        detectors=_wider_detectors(plan.detectors, now.detectors, request.teachers[-1]),
    )  # fmt: skip
    if replace(now, data_findings=plan.data_findings, recipe_notes=plan.recipe_notes, taps=wider.taps) != wider:
        known = [arm for arm in plan.arms if arm is not None]
        why = " ".join(changes(plan, data_now(plan.dataset), known)) or "The defaults have changed since."
        raise Conflict(f"{why} A teacher that is added now could not be compared with the others; ask anew.")
    return wider


def _wider_detectors(
    before: PlannedDetectors | None, now: PlannedDetectors | None, added: TeacherChoice
) -> PlannedDetectors | None:
    """What was known of the job's detectors, with the levels and parameters of the added teacher."""
    if before is None or now is None:
        return before
    levels, parameters = now.levels[added.label], now.parameters[added.model]
    return PlannedDetectors(
        levels={**before.levels, added.label: levels}, parameters={**before.parameters, added.model: parameters}
    )


def _add_candidate(session: Session, job: SelectionJob, request: SelectionJobRequest, plan: Plan) -> None:
    """The arm without a teacher stays the last."""
    arms = repository.snapshot(session, job).arms
    last = next(arm.candidate for arm in arms if arm.candidate.teacher is None)
    place = last.position
    last.position = place + 1
    session.flush()
    session.add(Candidate(job_id=job.id, position=place, teacher=plan.arms[-2], status="waiting"))
    job.request, job.plan = request.model_dump(mode="json"), to_json(plan)
    repository.describe(session, job, job.name, repository.tags(session, [job.id])[job.id])
