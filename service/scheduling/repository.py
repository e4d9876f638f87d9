"""The queries of selection jobs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, delete, func, or_, select, tuple_, update
from sqlalchemy.orm import Session

from dpk_core.codec import to_json
from dpk_core.selection.decide.schedule import Decision
from dpk_core.tasks import METRICS
from service.database import tables
from service.database.documents import read_stored
from service.database.tables import (
    Board,
    Candidate,
    IdempotencyKey,
    JobRun,
    JobTag,
    Measurement,
    Run,
    SelectionJob,
    Verdict,
)
from service.database.types import epoch_now, utc_now
from service.runs.repository import LEFT_BEHIND
from service.scheduling.evidence import Measured, Stored, StoredByTraining
from service.scheduling.plan import Plan
from service.scheduling.snapshot import Snapshot, assemble

LIVE = ("queued", "running")
"""States of a job that still needs its runs."""
Order = Literal["newest", "oldest", "gain", "cost", "student"]
_ORDERS: dict[Order, Any] = {
    "newest": SelectionJob.created_at, "oldest": SelectionJob.created_at, "gain": SelectionJob.gain,
    "cost": SelectionJob.cost, "student": SelectionJob.student,
}  # fmt: skip
"""Each with an index that has the id behind it."""
_RISING = ("oldest", "student")
SCORES = sorted({metric.measured_as for metric in METRICS.values()})
"""Measurements that decisions go by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What moves whenever a job's own rows do. `runs`: states, claims, steps and seconds of its runs, added up."""

    state: str
    revision: int
    created_at: datetime
    runs: tuple[float, ...]


def find(session: Session, job_id: str) -> SelectionJob | None:
    """The job's row. Ids are letters and digits; Postgres would refuse to look for some other texts."""
    return session.get(SelectionJob, job_id) if job_id.isalnum() else None


def marks(session: Session, job_id: str) -> Marks | None:
    """Two indexed look-ups; None: there is no such job."""
    if not job_id.isalnum():
        return None
    job = SelectionJob
    row = session.execute(select(job.state, job.revision, job.created_at).where(job.id == job_id)).one_or_none()
    if row is None:
        return None
    over = func.count().filter(Run.state.in_(("finished", "failed", "cancelled")))
    sums = [func.sum(each) for each in (Run.fence, Run.step, Run.seconds, Run.wasted_seconds)]
    linked = select(func.count(), over, *sums).join(JobRun, JobRun.run_id == Run.id).where(JobRun.job_id == job_id)
    runs = tuple(float(each or 0) for each in session.execute(linked).one())
    return Marks(state=row.state, revision=row.revision, created_at=row.created_at, runs=runs)


def lock(session: Session, job_id: str) -> SelectionJob | None:
    """The job's row, held until the transaction ends. On SQLite the transaction itself is the lock."""
    if not job_id.isalnum():
        return None
    return session.get(SelectionJob, job_id, with_for_update=True, populate_existing=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which jobs to list: in a state, about a student, data set or method, with a tag, with an id that begins with
    `prefix`, and with every word of `search` somewhere."""

    state: str | None = None
    student: str | None = None
    dataset: str | None = None
    method: str | None = None
    tag: str | None = None
    prefix: str | None = None
    search: str = ""


def locked_revision(session: Session, job_id: str) -> int:
    """Of a job that is there, which nobody changes until the transaction ends."""
    return session.scalars(select(SelectionJob.revision).where(SelectionJob.id == job_id).with_for_update()).one()


def page(
    session: Session, limit: int, before: SelectionJob | None, chosen: Filter, order: Order = "newest"
) -> list[SelectionJob]:
    """The first `limit` of these jobs that come after `before` in this order."""
    job, column, rising = SelectionJob, _ORDERS[order], order in _RISING
    place = (column, job.id)
    rows = select(job).where(*_filtered(chosen)).order_by(*(each.asc() if rising else each.desc() for each in place))
    if before is not None:
        last = (getattr(before, column.key), before.id)
        rows = rows.where(tuple_(*place) > last if rising else tuple_(*place) < last)
    return list(session.scalars(rows.limit(limit)))


def _filtered(chosen: Filter) -> list[ColumnElement[bool]]:
    job, found = SelectionJob, list[ColumnElement[bool]]()
    for name in ("state", "student", "dataset", "method"):
        if (value := getattr(chosen, name)) is not None:
            found.append(getattr(job, name) == value)
    if chosen.tag is not None:
        found.append(job.id.in_(select(JobTag.job_id).where(JobTag.tag == chosen.tag)))
    if chosen.prefix is not None:
        # A range of ids, as it is looked up in the primary key whatever the database's order of letters is.
        found += [job.id >= chosen.prefix, job.id < chosen.prefix + "g"]
    return found + [job.search.contains(word, autoescape=True) for word in chosen.search.casefold().split()]


def tags(session: Session, job_ids: Sequence[str]) -> dict[str, list[str]]:
    """The tags of each of these jobs, sorted."""
    found: dict[str, list[str]] = defaultdict(list)
    rows = select(JobTag.job_id, JobTag.tag).where(JobTag.job_id.in_(job_ids)).order_by(JobTag.job_id, JobTag.tag)
    for job_id, tag in session.execute(rows):
        found[job_id].append(tag)
    return found


def describe(session: Session, job: SelectionJob, name: str | None, tags: Sequence[str]) -> None:
    """Gives the job its name and tags, and what a search finds it by."""
    session.execute(delete(JobTag).where(JobTag.job_id == job.id))
    session.add_all(JobTag(job_id=job.id, tag=tag) for tag in tags)
    job.name = name
    arms = read_stored(Plan, job.plan).arms
    words = [job.id, name or "", *tags, job.student, job.dataset, job.method, *filter(None, arms)]
    job.search = " ".join(words).casefold()
    session.flush()


def drop_board(session: Session, job_id: str) -> None:
    """Deletes the leaderboard that was stored when it was first read."""
    session.execute(delete(Board).where(Board.job_id == job_id))


def key_of(session: Session, key: str) -> IdempotencyKey | None:
    """The submission that used this idempotency key."""
    return session.get(IdempotencyKey, key, populate_existing=True)


def add_key(session: Session, key: str, request_hash: str, job_id: str) -> None:
    """Binds the key. Raises IntegrityError when another submission has bound it in the meantime."""
    session.add(IdempotencyKey(key=key, request_hash=request_hash, job_id=job_id, created_at=utc_now()))
    session.flush()


def move_key(session: Session, key: str, old: str, new: str) -> bool:
    """Binds the key to another job; False when it does not stand for the job `old` any more."""
    moved = update(IdempotencyKey).where(IdempotencyKey.key == key, IdempotencyKey.job_id == old)
    return session.scalar(moved.values(job_id=new, created_at=utc_now()).returning(IdempotencyKey.key)) is not None


def snapshots(session: Session, jobs: Sequence[SelectionJob]) -> list[Snapshot]:
    """The jobs with all their rows, in four queries however many jobs."""
    ids = [job.id for job in jobs]
    candidates: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in session.scalars(
        select(Candidate).where(Candidate.job_id.in_(ids)).order_by(Candidate.job_id, Candidate.position)
    ):
        candidates[candidate.job_id].append(candidate)
    links: dict[str, list[tuple[JobRun, Run]]] = defaultdict(list)
    rows = select(JobRun, Run).join(Run, Run.id == JobRun.run_id).where(JobRun.job_id.in_(ids))
    for link, run in session.execute(rows.order_by(JobRun.candidate_id, JobRun.purpose, JobRun.seed, Run.created_at)):
        links[link.job_id].append((link, run))
    decisions: dict[str, list[Decision]] = defaultdict(list)
    made = select(tables.Decision).where(tables.Decision.job_id.in_(ids))
    for row in session.scalars(made.order_by(tables.Decision.job_id, tables.Decision.number)):
        decisions[row.job_id].append(read_stored(Decision, row.document))
    return [
        assemble(job, read_stored(Plan, job.plan), candidates[job.id], links[job.id], decisions[job.id]) for job in jobs
    ]


def snapshot(session: Session, job: SelectionJob) -> Snapshot:
    """One job with all its rows."""
    return snapshots(session, [job])[0]


def add_decision(session: Session, job_id: str, number: int, decision: Decision) -> None:
    """Adds what was decided."""
    document = to_json(decision)
    session.add(tables.Decision(job_id=job_id, number=number, document=document, created_at=utc_now()))
    session.flush()


def is_late(session: Session, job: SelectionJob, wall_seconds: float | None) -> bool:
    """Whether so much time has passed since the job started, by the database's clock. None: there is no limit."""
    if wall_seconds is None:
        return False
    passed = session.scalar(select(epoch_now() - SelectionJob.started_epoch).where(SelectionJob.id == job.id))
    return passed is not None and passed >= wall_seconds


def measured(session: Session, snapshot: Snapshot) -> Measured:
    """What was measured of the trainings that the snapshot's students are on, by whichever run."""
    own = [run for arm in snapshot.arms for runs in arm.students.values() for run in runs.values()]
    rows = _scores(session, {run.training_key for run in own})
    epochs: dict[str, int] = defaultdict(int)
    scores: dict[str, dict[int, float]] = defaultdict(dict)
    linked = {run.id for run in own}
    # What the job's own runs measured counts before what others' did, on another machine perhaps.
    for run_id, key, epoch, value in sorted(rows, key=lambda row: row[0] in linked):
        epochs[run_id] += 1
        scores[key][epoch] = value
    return Measured(scores=scores, epochs=epochs)


def scores(session: Session, training_keys: Iterable[str], *, before: datetime) -> Mapping[str, Mapping[int, float]]:
    """Validation scores by training and epoch, of runs that finished or that others may have gone on from, and
    that were over `before`."""
    found: dict[str, dict[int, float]] = defaultdict(dict)
    for _, key, epoch, value in _scores(session, set(training_keys), Run.finished_at < before):
        found[key][epoch] = value
    return found


def _scores(
    session: Session, training_keys: set[str], *which: ColumnElement[bool]
) -> Sequence[tuple[str, str, int, float]]:
    chosen = (
        select(Measurement.run_id, Run.training_key, Measurement.epoch, Measurement.value)
        .join(Run, Run.id == Measurement.run_id)
        .where(
            Run.training_key.in_(sorted(training_keys)), LEFT_BEHIND,
            Measurement.name.in_(SCORES), *which,
        )
        .order_by(Run.created_at, Run.id, Measurement.epoch)
    )  # fmt: skip
    return [(run_id, key, epoch, value) for run_id, key, epoch, value in session.execute(chosen)]


def stored(session: Session, plan: Plan) -> StoredByTraining:
    """What runs that are over, of whatever job, left of the trainings that the plan can lead to."""
    places = {
        plan.student_run(teacher, seed, plan.epochs).training.key(): (teacher, seed)
        for teacher in plan.arms
        for seed in plan.seeds
    }
    chosen = select(
        Run.training_key, Run.state, Run.spec["stop_epoch"].as_integer(), Run.checkpoint["epoch"].as_integer()
    ).where(Run.training_key.in_(sorted(places)), LEFT_BEHIND, Run.withdrawn.is_(False))
    ends: dict[tuple[str | None, int], list[int]] = defaultdict(list)
    checkpoints: dict[tuple[str | None, int], set[int]] = defaultdict(set)
    trained: dict[tuple[str | None, int], set[int]] = defaultdict(set)
    for key, state, end, checkpoint in session.execute(chosen):
        ends[places[key]].append(end if state == "finished" else 0)
        checkpoints[places[key]] |= {checkpoint} - {None}
        trained[places[key]] |= {end} & {checkpoint}
    return {
        place: Stored(
            finished=max(found), checkpoints=tuple(sorted(checkpoints[place])), trained=tuple(sorted(trained[place]))
        )
        for place, found in ends.items()
    }


def needed_elsewhere(session: Session, job_id: str, run_ids: Iterable[str]) -> set[str]:
    """Those of the runs that another live job needs."""
    chosen = (
        select(JobRun.run_id)
        .join(SelectionJob, SelectionJob.id == JobRun.job_id)
        .where(JobRun.run_id.in_(list(run_ids)), JobRun.job_id != job_id, SelectionJob.state.in_(LIVE))
    )
    return set(session.scalars(chosen))


def newest_verdicts(session: Session, job_ids: Sequence[str]) -> dict[str, Verdict]:
    """Each job's newest verdict, for those that have one."""
    newest = (
        select(Verdict.job_id, func.max(Verdict.number).label("number"))
        .where(Verdict.job_id.in_(job_ids))
        .group_by(Verdict.job_id)
        .subquery()
    )
    chosen = select(Verdict).join(newest, (Verdict.job_id == newest.c.job_id) & (Verdict.number == newest.c.number))
    return {verdict.job_id: verdict for verdict in session.scalars(chosen)}


def add_verdict(session: Session, job_id: str, number: int, document: dict[str, Any]) -> None:
    """Adds what can be said now."""
    session.add(Verdict(job_id=job_id, number=number, final=document["final"], document=document, created_at=utc_now()))


def measurements(session: Session, snapshot: Snapshot) -> Mapping[str, list[Measurement]]:
    """What was measured of the job's trainings, by training; of an epoch, what its own runs measured comes last."""
    own = {run.id for _, run in snapshot.links}
    keys = {run.training_key for _, run in snapshot.links}
    known = or_(LEFT_BEHIND, Run.id.in_(sorted(own)))
    chosen = select(Run.training_key, Measurement).join(Run, Run.id == Measurement.run_id)
    rows = session.execute(
        chosen.where(Run.training_key.in_(sorted(keys)), known).order_by(
            Run.created_at, Run.id, Measurement.epoch, Measurement.name
        )
    )
    found: dict[str, list[Measurement]] = defaultdict(list)
    for key, measurement in sorted(rows, key=lambda row: row[1].run_id in own):
        found[key].append(measurement)
    return found
