"""The transitions of a run. Each is one short transaction of the caller's; every write of a worker names its fence.

    queued → running → finished | failed | cancelled      a lost or stopped run, or one to be tried again, is queued

A final row never changes, as no fence opens it; it can only be withdrawn from further use, and let go of a checkpoint
that nobody can go on from (`leftovers`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from sqlalchemy.orm import Session

from dpk_core.codec import WrongValue, from_json, to_json
from dpk_core.protocol import ArtifactReference, Checkpoint, FailureKind, Noticed, RunResult
from dpk_core.spec import RunSpec
from service.database.tables import Run
from service.database.types import epoch_now, utc_now
from service.events import repository as events
from service.models import repository as models
from service.outbox import service as outbox
from service.runs import refusals, repository
from service.runs.claims import Answer, Claim, Report
from service.runs.tries import DISK_PATIENCE_SECONDS, RULES, Then, disk_wait_seconds, wait_seconds, will_repeat


def claim(session: Session, run_id: str, owner: str, *, lease_seconds: float, max_attempts: int) -> Claim | None:
    """Takes a queued run, or one whose lease ran out. None: it is someone else's, or over, or another worker's to take.

    While workers of two versions serve one database, a worker may meet what it cannot read. It leaves such a run to the
    others: an error would undo the claim, and the run would be the next to be claimed again.
    """
    run = repository.take(session, run_id, owner, lease_seconds=lease_seconds, max_attempts=max_attempts)
    if run is None:
        return None
    try:
        return _read_claim(session, run)
    except WrongValue as error:
        refusals.add(
            session, run, f"{owner} cannot read what another version stored of the run or its teacher ({error})."
        )
        _give_back_uncounted(session, run)
        return None


def _read_claim(session: Session, run: Run) -> Claim | None:
    """What the worker needs to carry out a run that it has taken. Raises WrongValue where it cannot be read."""
    spec = from_json(RunSpec, run.spec)
    weights = _teacher_weights(session, spec)
    if spec.training.teacher is not None and weights is None:
        _end(session, run, "failed", kind="artifact", message=f"The weights of {run.teacher} are not in the store.")
        return None
    broken = furthest_step(run)
    inherited = _inherited(session, run, spec)
    own = from_json(Checkpoint, run.checkpoint) if run.checkpoint else None
    earlier_seconds = inherited.seconds if inherited else 0.0
    resume, known_scores = own or inherited, _known_scores(session, spec)
    _restart_counters(run, resume, own.seconds - earlier_seconds if own else 0.0)
    return Claim(
        run_id=run.id, fence=run.fence, spec=spec, resume=resume,
        earlier_seconds=earlier_seconds, furthest=max(broken, furthest_step(run)),
        known_scores=known_scores, teacher_weights=weights,
        uploads=tuple(models.documents(session, _models(spec))),
    )  # fmt: skip


def claim_next(session: Session, owner: str, *, lease_seconds: float, max_attempts: int) -> Claim | None:
    """Takes the run that has waited longest; None when none waits."""
    while (run_id := repository.next_claimable(session, owner, max_attempts)) is not None:
        if (taken := claim(session, run_id, owner, lease_seconds=lease_seconds, max_attempts=max_attempts)) is not None:
            return taken
    return None


def _inherited(session: Session, run: Run, spec: RunSpec) -> Checkpoint | None:
    """What this run takes over of another one, stored with it; looked for until it has a checkpoint of its own."""
    if run.failure_kind == "artifact":
        run.checkpoint = run.inherited = None  # a broken file: begin anew instead of stumbling over it again
    elif run.checkpoint is None:
        found = _furthest_checkpoint(session, spec)
        run.inherited = None if found is None else to_json(found)
    return from_json(Checkpoint, run.inherited) if run.inherited else None


def furthest_step(run: Run) -> int:
    """The step of the checkpoint that the run would go on from; 0 without one. Raises WrongValue where it cannot be
    read."""
    kept = run.checkpoint or run.inherited
    return from_json(Checkpoint, kept).step if kept else 0


def _furthest_checkpoint(session: Session, spec: RunSpec) -> Checkpoint | None:
    """How far any run of this training came whose checkpoint is sound, up to where this one is to end.

    A checkpoint counts whole epochs, so one of a longer run may lie beyond that end although its epoch is the same. One
    of a run that was to end there too does not: it was stopped after its last step, while its result was measured.
    """
    left = repository.left_behind(session, spec.training.key())
    found = [(from_json(Checkpoint, run.checkpoint), run.spec["stop_epoch"]) for run in left]
    end = spec.stop_epoch
    usable = [each for each, stop in found if each.epoch < end or each.epoch == end == stop]
    return max(usable, key=lambda checkpoint: checkpoint.step, default=None)


def _teacher_weights(session: Session, spec: RunSpec) -> ArtifactReference | None:
    if spec.training.teacher is None:
        return None
    for run in repository.finished(session, spec.training.teacher.training_key):
        if (weights := from_json(RunResult, run.result).weights) is not None:
            return weights
    return None


def _models(spec: RunSpec) -> list[str]:
    """The models that the run builds."""
    teacher = spec.training.teacher
    return [spec.training.model, *([] if teacher is None else [teacher.model])]


def _known_scores(session: Session, spec: RunSpec) -> dict[str, float] | None:
    """What rivals say of this training, measured by whichever run of it."""
    results = (from_json(RunResult, run.result) for run in repository.finished(session, spec.training.key()))
    return next((result.scores for result in results if result.scores is not None), None)


def _restart_counters(run: Run, resume: Checkpoint | None, kept_seconds: float) -> None:
    """What the last attempt did beyond its checkpoint is wasted; this attempt counts on from the checkpoint."""
    run.wasted_seconds += max(0.0, run.seconds - kept_seconds)
    run.seconds = kept_seconds
    run.step = resume.step if resume else 0
    run.failure_kind = run.failure = None
    run.started_at = run.started_at or utc_now()


def report(session: Session, claim: Claim, reported: Report, *, lease_seconds: float) -> Answer:
    """The heartbeat: extends the lease and stores what is new."""
    run = repository.held(session, claim.run_id, claim.fence)
    if run is None:
        return Answer.LOST
    run.lease_expires = epoch_now() + lease_seconds
    run.step = run.step if reported.step is None else reported.step
    run.total_steps = run.total_steps if reported.total_steps is None else reported.total_steps
    run.device = reported.device or run.device
    if reported.seconds is not None:
        run.seconds = max(0.0, reported.seconds - claim.earlier_seconds)
    if reported.checkpoint is not None:
        run.checkpoint = to_json(reported.checkpoint)
        run.disk_full_epoch = None
        if reported.checkpoint.step > claim.furthest:
            run.attempts, run.last_error = 1, None  # of those that came no further
    if reported.notices:
        run.notices = _each_once(run.notices or [], reported.notices)
    repository.put_measurements(session, run.id, reported.measured)
    return Answer.CANCEL if run.cancel_requested else Answer.HELD


def _each_once(known: list[dict[str, Any]], noticed: Iterable[Noticed]) -> list[dict[str, Any]]:
    said = {each["message"] for each in known}
    new = {each.message: {"level": each.level, "message": each.message} for each in noticed}
    return [*known, *(each for message, each in new.items() if message not in said)]


def notify(session: Session, run_id: str, notices: Iterable[Noticed]) -> None:
    """Tells the live jobs of a run what a person should know.

    A transaction of its own: an event locks the job, a report locks the run, and whoever advances a job takes first
    the job and then the run.
    """
    for job_id in repository.jobs_of(session, run_id, ("queued", "running")):
        for notice in notices:
            data = {"run_id": run_id, "level": notice.level, "message": notice.message}
            events.record(session, job_id, "notice", data)


def finish(session: Session, claim: Claim, result: RunResult) -> bool:
    """Stores the result and wakes the jobs. False: the run is not this worker's any more, and nothing was written."""
    run = repository.held(session, claim.run_id, claim.fence)
    if run is None:
        return False
    run.result = to_json(result)
    run.seconds = result.seconds
    run.step = run.total_steps
    run.device = result.device_name
    if result.weights is not None:
        run.checkpoint = None  # the training is complete, and nothing goes on from it: its file may go
    _end(session, run, "finished")
    return True


def fail(
    session: Session, claim: Claim, kind: FailureKind, message: str, *, max_attempts: int, retry_seconds: float = 0.0
) -> bool:
    """Ends the run, or gives it another try where that may help (`tries`). False as for `finish`."""
    run = repository.held(session, claim.run_id, claim.fence)
    if run is None:
        return False
    then, repeated = RULES[kind], will_repeat(kind, message, run.last_error)
    if run.cancel_requested:
        _end(session, run, "cancelled")
    elif then is Then.ELSEWHERE:
        refusals.add(session, run, message)
        _give_back_uncounted(session, run)
    elif then is Then.LATER:
        _wait_for_room(session, run, message, retry_seconds)
    elif then is Then.AGAIN and run.attempts < max_attempts and not repeated:
        run.failure_kind, run.failure, run.last_error = kind, message, message
        _requeue(session, run, after=wait_seconds(retry_seconds, run.attempts))
    else:
        teachers_file = run.checkpoint is None and run.inherited is None
        if kind == "artifact" and claim.spec.training.teacher is not None and teachers_file:
            # It read no checkpoint, so it is the teacher's file. Whoever asks for this teacher next trains it anew
            # instead of failing for ever.
            repository.withdraw(session, claim.spec.training.teacher.training_key)
        twice = "It failed twice with the same error. " if repeated else ""
        _end(session, run, "failed", kind=kind, message=twice + message)
    return True


def lost(session: Session, claim: Claim, how: str, *, max_attempts: int, retry_seconds: float = 0.0) -> bool:
    """The training process died. `how` ends a sentence that begins as "The training process died 5 times, last …"."""
    run = repository.held(session, claim.run_id, claim.fence)
    if run is None:
        return False
    message = f"The training process died {times(run)}, last {how}."
    give_back_or_end(session, run, message, max_attempts, after=retry_seconds)
    return True


def release(session: Session, claim: Claim) -> bool:
    """The training process has let go on command: cancelled if that was wished, else queued, no attempt counted.

    The fence moves on, so that the same stop, delivered twice, is stored once.
    """
    run = repository.held(session, claim.run_id, claim.fence)
    if run is None:
        return False
    if run.cancel_requested:
        _end(session, run, "cancelled")
    else:
        run.fence += 1
        _give_back_uncounted(session, run)
    return True


def times(run: Run) -> str:
    """How often a run was tried in vain, as its failure says it."""
    since = "" if run.checkpoint is None else " since its last checkpoint"
    return f"{run.attempts} time{'' if run.attempts == 1 else 's'}{since}"


def give_back_or_end(session: Session, run: Run, message: str, max_attempts: int, *, after: float = 0.0) -> None:
    """What happens to a running row that nobody carries out any more. `message`: why it failed, if it did.

    `after`: seconds before it is taken again.
    """
    run.last_error = None
    if run.cancel_requested:
        _end(session, run, "cancelled")
    elif run.attempts < max_attempts:
        _requeue(session, run, after=after)
    else:
        _end(session, run, "failed", kind="internal", message=message)


def end_used_up(session: Session, run: Run, max_attempts: int) -> None:
    """Fails a queued run that was tried as often as `max_attempts` allows now, and says how its last attempt ended."""
    message = f"It was tried {times(run)}; DPK_MAX_ATTEMPTS allows {max_attempts} now. A retry counts anew."
    if run.failure is not None:
        message = f"{message} The last attempt failed: {run.failure}"
    _end(session, run, "failed", kind=cast(FailureKind, run.failure_kind or "internal"), message=message)


def request_cancel(session: Session, run_ids: Iterable[str], job_id: str) -> set[str]:
    """Queued runs are cancelled at once, running ones when their process is gone; `job_id` needs them no more.

    A run that another live job needs is left alone; returns those. They are locked in the order given, which has to be
    that of all who lock several.
    """
    left = set()
    for run_id in run_ids:
        run = repository.locked(session, run_id)
        if run.state not in ("queued", "running"):
            continue
        if {*repository.jobs_of(session, run.id, ("queued", "running"))} - {job_id}:
            left.add(run_id)
        elif run.state == "queued":
            _end(session, run, "cancelled")
        else:
            run.cancel_requested = True
    return left


def keep(session: Session, run_ids: Iterable[str]) -> None:
    """Takes back the wish to cancel, as long as the worker has not let go. Locked in the order given."""
    for run_id in run_ids:
        repository.locked(session, run_id).cancel_requested = False


def settle_stranded(session: Session, run: Run, *, silence_seconds: float) -> None:
    """Fails a queued run that every living worker has refused for `silence_seconds`, in which another might start."""
    reasons = refusals.reasons_if_stranded(session, run, silence_seconds)
    if reasons is None:
        run.stranded_epoch = None
    elif run.stranded_epoch is None:
        run.stranded_epoch = epoch_now()
    elif repository.seconds_since(session, run.stranded_epoch) > silence_seconds:
        message = "No worker can carry out the training. " + " ".join(reasons)
        _end(session, run, "failed", kind="missing_here", message=message)


def _wait_for_room(session: Session, run: Run, message: str, first_wait: float) -> None:
    lasted = repository.seconds_since(session, run.disk_full_epoch)
    if lasted > DISK_PATIENCE_SECONDS:
        _end(session, run, "failed", kind="disk_full", message=f"It was tried for a day. {message}")
        return
    if run.disk_full_epoch is None:
        run.disk_full_epoch = epoch_now()
    _give_back_uncounted(session, run, after=disk_wait_seconds(first_wait, lasted))


def _give_back_uncounted(session: Session, run: Run, *, after: float = 0.0) -> None:
    """The attempt says nothing about the run, so it does not count."""
    run.attempts -= 1
    _requeue(session, run, after=after)


def _requeue(session: Session, run: Run, *, after: float = 0.0) -> None:
    run.state = "queued"
    run.lease_owner = run.lease_expires = None
    if after > 0:
        run.not_before = epoch_now() + after
        run.sent_epoch = None  # its message is written by the sweep that finds the wait over
    else:
        repository.send(session, run)


def _end(
    session: Session, run: Run, state: str, *, kind: FailureKind | None = None, message: str | None = None
) -> None:
    run.state = state
    run.failure_kind, run.failure = kind, message
    run.lease_owner = run.lease_expires = None
    run.finished_at = utc_now()
    repository.drop_refusals(session, run.id)
    for job_id in repository.jobs_of(session, run.id, ("queued", "running", "paused", "cancelling")):
        outbox.enqueue(session, "advance_job", job_id)
