"""Every query about runs. Leases are set and compared by the database's clock only."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from dpk_core.codec import to_json
from dpk_core.protocol import Measured
from dpk_core.spec import TRAINING_VERSION, RunSpec
from service.database.tables import JobRun, Measurement, Run, RunRefusal, SelectionJob, Worker
from service.database.types import epoch_now, utc_now
from service.outbox import service as outbox
from service.outbox.repository import is_unsent

RESUMABLE = ("internal", "out_of_memory", "missing_here", "disk_full")
"""Kinds of failure that say nothing against the run's checkpoint."""
LEFT_BEHIND = or_(
    Run.state.in_(("finished", "cancelled")), and_(Run.state == "failed", Run.failure_kind.in_(RESUMABLE))
)
"""Runs whose checkpoint another run of the training may go on from."""
LIVE = ("queued", "running")
FAILED_STATES = ("failed", "cancelled")
"""Ends that leave room for another run of the same content."""
BATCH = 500
"""Ids in one statement; a database takes so many thousands of parameters."""


@dataclass(frozen=True, slots=True)
class Resting:
    """A run that is over. `stop`: the epoch it was to end at, of `epochs` of the training; `reached`: that of its
    checkpoint, None without one; `usable`: whether another run may use what it left."""

    id: str
    training_key: str
    state: str
    stop: int
    epochs: int
    reached: int | None
    usable: bool


def find_or_create(session: Session, spec: RunSpec, purpose: str) -> tuple[Run, bool]:
    """The run of this content, and whether it was finished already. A new one gets its message.

    A finished run of the same training that went further is taken instead: it measured what this one would. A row that
    is not over stays locked, so that a cancellation either sees the caller's link to it or happens before this.
    """
    key = spec.key()
    run = _by_content(session, key)
    if (run is None or run.state != "finished") and (longer := _longer(session, spec)) is not None:
        return longer, True
    while run is None:
        try:
            with session.begin_nested():
                session.add(new := _new(spec, key, purpose))
                session.flush()
        except IntegrityError:
            run = _by_content(session, key)  # somebody else made it since we looked
            continue
        send(session, new)
        return new, False
    if run.cancel_requested:
        run.cancel_requested = False  # somebody wants it again before its worker has let go
    return run, run.state == "finished"


def _by_content(session: Session, key: str) -> Run | None:
    rows = select(Run).where(Run.content_key == key, Run.state.not_in(FAILED_STATES), Run.withdrawn.is_(False))
    return session.scalar(rows.with_for_update().execution_options(populate_existing=True))


def _longer(session: Session, spec: RunSpec) -> Run | None:
    further = {
        run.spec["stop_epoch"]: run
        for run in finished(session, spec.training.key())
        if run.spec["stop_epoch"] > spec.stop_epoch
    }
    return further[min(further)] if further else None


def _new(spec: RunSpec, key: str, purpose: str) -> Run:
    training = spec.training
    return Run(
        id=uuid.uuid4().hex,
        content_key=key,
        training_key=training.key(),
        purpose=purpose,
        spec=to_json(spec),
        dataset=training.dataset,
        method=training.method.name,
        student=training.model,
        teacher=training.teacher.model if training.teacher else None,
        seed=training.seed,
        state="queued",
        created_at=utc_now(),
    )


def send(session: Session, run: Run) -> None:
    """Writes the run's message and when."""
    run.sent_epoch = epoch_now()
    outbox.enqueue(session, "advance_run", run.id)


def take(session: Session, run_id: str, owner: str, *, lease_seconds: float, max_attempts: int) -> Run | None:
    """Compare-and-set: of any number of workers that try at once, one gets the row."""
    claimed = (
        update(Run)
        .where(Run.id == run_id, _claimable(owner, max_attempts))
        .values(
            state="running",
            fence=Run.fence + 1,
            attempts=Run.attempts + 1,
            lease_owner=owner,
            lease_expires=epoch_now() + lease_seconds,
            not_before=None,
            stranded_epoch=None,
        )
        .returning(Run.id)
        .execution_options(synchronize_session=False)
    )
    if session.scalar(claimed) is None:
        return None
    return session.get_one(Run, run_id, populate_existing=True)


def next_claimable(session: Session, owner: str, max_attempts: int) -> str | None:
    """The run that has waited longest, leaving out those that somebody is claiming right now."""
    rows = select(Run.id).where(_claimable(owner, max_attempts)).order_by(Run.created_at, Run.id).limit(1)
    return session.scalar(rows.with_for_update(skip_locked=True))


def _claimable(owner: str, max_attempts: int) -> ColumnElement[bool]:
    waiting = or_(and_(Run.state == "queued", _due()), _expired())
    refused = select(RunRefusal.run_id).where(RunRefusal.run_id == Run.id, RunRefusal.worker_id == owner).exists()
    # What this code trains is of this version; an older run waits until its job finds out that it is outdated.
    current = Run.spec["training", "version"].as_integer() == TRAINING_VERSION
    return and_(waiting, Run.cancel_requested.is_(False), Run.attempts < max_attempts, current, ~refused)


def _due() -> ColumnElement[bool]:
    return or_(Run.not_before.is_(None), Run.not_before <= epoch_now())


def _expired() -> ColumnElement[bool]:
    return and_(Run.state == "running", Run.lease_expires < epoch_now())


def held(session: Session, run_id: str, fence: int) -> Run | None:
    """The row, locked, if it is still running under this fence."""
    rows = select(Run).where(Run.id == run_id, Run.fence == fence, Run.state == "running").with_for_update()
    return session.scalar(rows.execution_options(populate_existing=True))


def locked(session: Session, run_id: str) -> Run:
    """The row, locked."""
    return session.get_one(Run, run_id, with_for_update=True, populate_existing=True)


def locked_if_known(session: Session, run_id: str) -> Run | None:
    """The row, locked; None where there is none."""
    return session.get(Run, run_id, with_for_update=True, populate_existing=True)


def running_fences(session: Session, run_ids: Iterable[str]) -> dict[str, int]:
    """The fences of those of the runs that are running."""
    rows = select(Run.id, Run.fence).where(Run.id.in_(list(run_ids)), Run.state == "running")
    return {row.id: row.fence for row in session.execute(rows)}


def expired(session: Session, limit: int) -> Sequence[Run]:
    """Running rows whose worker has not been heard of in time, locked."""
    rows = select(Run).where(_expired()).order_by(Run.id).limit(limit).with_for_update(skip_locked=True)
    return session.scalars(rows).all()


def used_up(session: Session, max_attempts: int, limit: int) -> Sequence[Run]:
    """Queued rows that nobody may take any more, as the number of attempts was larger when they were given back."""
    rows = select(Run).where(Run.state == "queued", Run.attempts >= max_attempts).order_by(Run.id).limit(limit)
    return session.scalars(rows.with_for_update(skip_locked=True)).all()


def unheard(session: Session, seconds: float, limit: int) -> Sequence[Run]:
    """Queued rows whose message left and was written more than `seconds` ago, or whose wait is over, locked.

    One that has not left yet, because the broker is down, needs no second one.
    """
    old = or_(Run.sent_epoch.is_(None), Run.sent_epoch < epoch_now() - seconds)
    rows = select(Run).where(Run.state == "queued", _due(), old, ~is_unsent(Run.id))
    return session.scalars(rows.order_by(Run.sent_epoch).limit(limit).with_for_update(skip_locked=True)).all()


def finished(session: Session, training_key: str) -> Sequence[Run]:
    """The finished runs of one training whose files can be had."""
    rows = select(Run).where(Run.training_key == training_key, Run.state == "finished", Run.withdrawn.is_(False))
    return session.scalars(rows).all()


def left_behind(session: Session, training_key: str) -> Sequence[Run]:
    """The runs of one training that left a checkpoint to go on from, in the order they were made."""
    rows = select(Run).where(Run.training_key == training_key, LEFT_BEHIND, Run.withdrawn.is_(False))
    return [run for run in session.scalars(rows.order_by(Run.created_at, Run.id)) if run.checkpoint is not None]


def resting(session: Session) -> Sequence[Resting]:
    """Of trainings of which no run is on its way, the runs that finished or that hold a checkpoint."""
    usable = and_(LEFT_BEHIND, Run.withdrawn.is_(False))
    rows = select(
        Run.id,
        Run.training_key,
        Run.state,
        Run.spec["stop_epoch"].as_integer(),
        Run.spec["training", "recipe", "epochs"].as_integer(),
        Run.checkpoint["epoch"].as_integer(),
        usable,
    ).where(Run.state.not_in(LIVE), _rests())
    found = session.execute(rows.where(or_(Run.state == "finished", Run.checkpoint.is_not(None))))
    return [Resting(*row) for row in found]


def drop_checkpoints(session: Session, run_ids: Sequence[str]) -> None:
    """Takes the checkpoints of these runs out of their rows, of trainings of which no run is on its way now."""
    for some in _batches(run_ids):
        dropped = update(Run).where(Run.id.in_(some), _rests()).values(checkpoint=None)
        session.execute(dropped.execution_options(synchronize_session=False))


def _rests() -> ColumnElement[bool]:
    """Of trainings of which no run is on its way."""
    live = select(Run.training_key).where(Run.state.in_(LIVE))
    return Run.training_key.not_in(live)


def named_files(session: Session, run_ids: Sequence[str]) -> dict[str, set[str]]:
    """Of those of the runs that are over, the files that their rows name, and that runs on their way go on from."""
    inherited = select(Run.inherited["file", "path"].as_string()).where(Run.state.in_(LIVE))
    in_use = {path for path in session.scalars(inherited) if path is not None}
    named: dict[str, set[str]] = {}
    for some in _batches(run_ids):
        rows = select(
            Run.id,
            Run.checkpoint["file", "path"].as_string(),
            Run.result["weights", "path"].as_string(),
            Run.result["samples", "path"].as_string(),
        ).where(Run.id.in_(some), Run.state.not_in(LIVE))
        named |= {run_id: in_use | {path for path in paths if path} for run_id, *paths in session.execute(rows)}
    return named


def _batches(run_ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (run_ids[i : i + BATCH] for i in range(0, len(run_ids), BATCH))


def withdraw(session: Session, training_key: str) -> None:
    """Keeps the finished runs of a training, whose files turned out lost or broken, from every later job."""
    found = update(Run).where(Run.training_key == training_key, Run.state == "finished").values(withdrawn=True)
    session.execute(found.execution_options(synchronize_session=False))


def seconds_since(session: Session, epoch: float | None) -> float:
    """How long ago a moment by the database's clock was; 0 for none."""
    return 0.0 if epoch is None else float(session.scalar(select(epoch_now() - epoch)) or 0.0)


def jobs_of(session: Session, run_id: str, states: Sequence[str]) -> Sequence[str]:
    """The jobs in one of these states that the run is a part of."""
    jobs = select(JobRun.job_id).where(JobRun.run_id == run_id)
    rows = select(SelectionJob.id).where(SelectionJob.id.in_(jobs), SelectionJob.state.in_(states))
    return session.scalars(rows.order_by(SelectionJob.id)).all()


def live_jobs(session: Session, *, after: str, limit: int) -> Sequence[str]:
    """Ids of jobs that have not ended, from `after` on."""
    rows = select(SelectionJob.id).where(SelectionJob.state.in_(("queued", "running", "cancelling")))
    return session.scalars(rows.where(SelectionJob.id > after).order_by(SelectionJob.id).limit(limit)).all()


def put_measurements(session: Session, run_id: str, measured: Iterable[Measured]) -> None:
    """Writes values, replacing those of the same epoch and name: a resumed run repeats some."""
    rows = [
        {"run_id": run_id, "epoch": each.epoch, "name": name, "step": each.step, "value": value}
        for each in measured
        for name, value in sorted(each.values.items())
    ]
    if rows:
        insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
        statement = insert(Measurement)
        replaced = {"step": statement.excluded.step, "value": statement.excluded.value}
        key = ["run_id", "epoch", "name"]
        session.execute(statement.on_conflict_do_update(index_elements=key, set_=replaced), rows)


def put_worker(
    session: Session, worker_id: str, *, queues: str, slots: int, device: str | None, trouble: str | None = None
) -> None:
    """Writes that a worker lives."""
    row = session.get(Worker, worker_id)
    if row is None:
        row = Worker(id=worker_id, started_at=utc_now())
        session.add(row)
    row.queues, row.slots, row.device, row.seen_epoch = queues, slots, device, epoch_now()
    row.trouble = trouble


def worker_seen(session: Session, machine: str, *, within_seconds: float) -> bool:
    """Whether a worker of this machine was heard of. Its id is the machine's name, a hyphen and the process."""
    rows = select(Worker.id).where(heard_of(within_seconds))
    return any(worker_id.rpartition("-")[0] == machine for worker_id in session.scalars(rows))


def heard_of(within_seconds: float) -> ColumnElement[bool]:
    """Whether a worker was heard of in the last `within_seconds`, by the database's clock."""
    return Worker.seen_epoch > epoch_now() - within_seconds


def worker_ids(session: Session) -> set[str]:
    """The workers that have neither left nor been forgotten."""
    return set(session.scalars(select(Worker.id)))


def drop_workers(session: Session, *, unseen_seconds: float) -> None:
    """Deletes workers that were not heard of for so long, with their refusals."""
    silent = ~heard_of(unseen_seconds)
    for worker_id in session.scalars(select(Worker.id).where(silent).order_by(Worker.id)).all():
        drop = delete(Worker).where(Worker.id == worker_id, silent)  # it may have been heard of since
        if session.scalar(drop.returning(Worker.id)) is not None:
            forget_refusals(session, worker_id)


def drop_worker(session: Session, worker_id: str) -> None:
    """Deletes a worker that leaves, with its refusals: no other process has its id."""
    forget_refusals(session, worker_id)
    session.execute(delete(Worker).where(Worker.id == worker_id).execution_options(synchronize_session=False))


def add_refusal(session: Session, run_id: str, worker_id: str, reason: str) -> None:
    """Keeps that a worker cannot carry out a run, and why."""
    session.merge(RunRefusal(run_id=run_id, worker_id=worker_id, reason=reason, created_at=utc_now()))


def forget_refusals(session: Session, worker_id: str) -> None:
    """A worker that starts may have now what another process of its name had not.

    Waits for nobody, as a sweep holds runs meanwhile: a refusal that is locked goes with its run, which ends.
    """
    rows = select(RunRefusal.run_id).where(RunRefusal.worker_id == worker_id).with_for_update(skip_locked=True)
    mine = (RunRefusal.worker_id == worker_id, RunRefusal.run_id.in_(rows))
    session.execute(delete(RunRefusal).where(*mine).execution_options(synchronize_session=False))


def drop_refusals(session: Session, run_id: str) -> None:
    """A run that is over is refused by nobody."""
    session.execute(delete(RunRefusal).where(RunRefusal.run_id == run_id))


def refused_runs(session: Session, *, after: str, limit: int) -> Sequence[Run]:
    """Queued runs that some worker has refused, from `after` on, locked."""
    refused = select(RunRefusal.run_id).where(RunRefusal.run_id == Run.id).exists()
    rows = select(Run).where(Run.state == "queued", Run.id > after, refused).order_by(Run.id).limit(limit)
    return session.scalars(rows.with_for_update(skip_locked=True)).all()


def refusals(session: Session, run_id: str) -> Sequence[RunRefusal]:
    """Why workers have refused a run, the oldest first."""
    rows = select(RunRefusal).where(RunRefusal.run_id == run_id)
    return session.scalars(rows.order_by(RunRefusal.created_at, RunRefusal.worker_id)).all()


def living_workers(session: Session, silence_seconds: float) -> set[str]:
    """The training workers that were heard of in the last `silence_seconds`."""
    return set(session.scalars(select(Worker.id).where(Worker.slots > 0, heard_of(silence_seconds))))
