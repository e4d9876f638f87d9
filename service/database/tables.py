"""The tables. The database is the truth; the queue carries ids only.

    selection_jobs 1─n candidates 1─n job_runs n─1 runs 1─n measurements
    selection_jobs 1─n job_tags
    runs 1─n run_refusals
    selection_jobs 1─n decisions, verdicts, events; 1─1 boards
    judgements, outbox, idempotency_keys, workers stand alone
    models: uploads, named by runs and jobs

A run belongs to its content, not to a job: jobs that ask for the same training share the row (`job_runs`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Boolean, Double, ForeignKey, Index, Integer, MetaData, String, Text, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from service.database.types import UtcDateTime

SCHEMA_REVISION = "0001"
"""The migration this code was written for; readiness compares it with the database's."""

Json = dict[str, Any]
QUESTION = ("student", "dataset", "method")
"""Columns of a job."""


class Base(DeclarativeBase):
    """Names every constraint, so that migrations can name them too."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own hook
        datetime: UtcDateTime,
        Json: JSON(none_as_null=True),
    }


class SelectionJob(Base):
    """One question: which of these teachers for this student?

    state: queued → running → finished | failed; paused from queued or running, and back; cancelling → cancelled from
    queued, running or paused. A finished or failed job runs again when a teacher is added or a run is retried.
    stage (while running): preparing_teachers → exploring → confirming → deciding.
    """

    __tablename__ = "selection_jobs"
    __table_args__ = (
        # Lists: all jobs; those in a state; finished ones, of one data set or method; live ones.
        Index(None, "created_at", "id"),
        Index("ix_selection_jobs_in_state", "state", "created_at", "id"),
        Index(None, "state", "finished_at"),
        Index(None, "dataset", "state", "finished_at"),
        Index(None, "method", "state", "finished_at"),
        # The answers to one question: the best-founded and the newest of each protocol.
        Index("ix_selection_jobs_best_founded", *QUESTION, "protocol", "decided", "strength", "finished_at", "id"),
        Index("ix_selection_jobs_newest", *QUESTION, "protocol", "decided", "finished_at"),
        Index("ix_selection_jobs_student_method", "student", "method", "finished_at"),
        # Lists in another order than by age.
        Index("ix_selection_jobs_by_student", "student", "id"),
        Index("ix_selection_jobs_by_gain", "gain", "id"),
        Index("ix_selection_jobs_by_cost", "cost", "id"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    state: Mapped[str] = mapped_column(String(16))
    stage: Mapped[str | None] = mapped_column(String(24))
    name: Mapped[str | None] = mapped_column(String(100))
    """What people call it."""
    search: Mapped[str] = mapped_column(Text, default="")
    """What a search of jobs looks in, in lower case: id, name, tags, student, data set, method and teachers."""
    request: Mapped[Json]
    """The request as it came, after validation."""
    plan: Mapped[Json]
    """`service.scheduling.plan.Plan`: what the request means, resolved once at submission."""
    task: Mapped[str] = mapped_column(String(24))
    student: Mapped[str] = mapped_column(String(400))
    """`model[@weights]`; with `dataset` and `method` the question."""
    dataset: Mapped[str] = mapped_column(String(200))
    method: Mapped[str] = mapped_column(String(40))
    protocol: Mapped[str] = mapped_column(String(8))
    """`service.scheduling.protocol_id` of its student trainings."""
    decided: Mapped[bool | None] = mapped_column(Boolean)
    """Whether its verdict is an answer; None unless it is finished."""
    strength: Mapped[int | None]
    """How well-founded its verdict is: seeds times teachers tried; None unless it is finished."""
    outcome: Mapped[Json | None]
    """`service.scheduling.outcome.Outcome`: what look-ups over many jobs need; None unless it is finished."""
    slots: Mapped[int | None]
    """Trainings that are decided side by side, settled when it starts."""
    revision: Mapped[int] = mapped_column(default=0)
    """Grows with every change a page should show."""
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    started_epoch: Mapped[float | None] = mapped_column(Double)
    """The start by the database's clock (`epoch_now`): what a limit of wall-clock time is held against."""
    finished_at: Mapped[datetime | None]
    failure: Mapped[Json | None]
    """`service.scheduling.states.JobFailure`."""
    paused_epoch: Mapped[float | None] = mapped_column(Double)
    """Since when it is paused, by the database's clock; None while it is not."""
    gain: Mapped[float] = mapped_column(Double, default=-1.0)
    """The leader's gain over no teacher, which lists are sorted by; -1, less than any gain, where none is known."""
    cost: Mapped[float] = mapped_column(Double, default=0.0)
    """Device seconds spent when it was last advanced, which lists are sorted by."""


class JobTag(Base):
    """A word that people filter jobs by."""

    __tablename__ = "job_tags"
    __table_args__ = (Index(None, "tag", "job_id"),)

    job_id: Mapped[str] = mapped_column(ForeignKey("selection_jobs.id"), primary_key=True)
    tag: Mapped[str] = mapped_column(String(40), primary_key=True)


class Candidate(Base):
    """A teacher of a job, or (teacher None) the arm without a teacher.

    status: waiting → preparing → prepared → exploring → promoted → finished, or in the end not_promoted, stopped (by a
    limit), failed, cancelled.
    """

    __tablename__ = "candidates"
    __table_args__ = (Index("uq_candidates_job_id_position", "job_id", "position", unique=True),)

    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("selection_jobs.id"))
    position: Mapped[int]
    teacher: Mapped[str | None] = mapped_column(String(200))
    status: Mapped[str] = mapped_column(String(16))
    reason: Mapped[Json | None]
    """`service.scheduling.candidate_status.Reason`: why the candidate has this status."""


class Run(Base):
    """A training carried up to some epoch; rows in a final state never change.

    state: queued → running → finished | failed | cancelled; a lost or stopped run goes back to queued.
    Every write of a run's worker names its fence; a worker whose lease was taken away holds an old one.
    """

    __tablename__ = "runs"
    __table_args__ = (
        # Finished and waiting runs are unique by content; failed, cancelled and withdrawn ones make room for another.
        Index(
            "uq_runs_content_key",
            "content_key",
            unique=True,
            sqlite_where=text("state NOT IN ('failed', 'cancelled') AND NOT withdrawn"),
            postgresql_where=text("state NOT IN ('failed', 'cancelled') AND NOT withdrawn"),
        ),
        # What the store knows of a method on a data set, newest first.
        Index("ix_runs_newest", "dataset", "method", "state", "finished_at", "id"),
        # Of one model, and under one, newest first.
        Index("ix_runs_of_model", "student", "state", "finished_at", "id"),
        Index("ix_runs_under_model", "teacher", "state", "finished_at", "id"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    content_key: Mapped[str] = mapped_column(String(64))
    training_key: Mapped[str] = mapped_column(String(64), index=True)
    purpose: Mapped[str] = mapped_column(String(8))
    """teacher; of a student, full where it goes to the end of the training, else probe."""
    spec: Mapped[Json]
    """`dpk_core.spec.RunSpec`."""
    dataset: Mapped[str] = mapped_column(String(200))
    method: Mapped[str] = mapped_column(String(40))
    student: Mapped[str] = mapped_column(String(200))
    """The model that trains; for purpose teacher, the teacher."""
    teacher: Mapped[str | None] = mapped_column(String(200))
    seed: Mapped[int]
    state: Mapped[str] = mapped_column(String(16), index=True)
    cancel_requested: Mapped[bool] = mapped_column(Boolean, default=False)
    withdrawn: Mapped[bool] = mapped_column(Boolean, default=False)
    """Its files are lost or broken: it counts where it is linked already, but no other job gets it."""
    attempts: Mapped[int] = mapped_column(default=0)
    fence: Mapped[int] = mapped_column(default=0)
    """The fencing token: grows with every claim, and when a worker gives the run back."""
    lease_owner: Mapped[str | None] = mapped_column(String(100))
    lease_expires: Mapped[float | None] = mapped_column(Double)
    """Seconds since 1970 by the database's clock (`epoch_now`)."""
    sent_epoch: Mapped[float | None] = mapped_column(Double)
    """When its message was last put into the outbox, by the database's clock."""
    not_before: Mapped[float | None] = mapped_column(Double)
    """While queued: nobody takes it before this moment, by the database's clock."""
    disk_full_epoch: Mapped[float | None] = mapped_column(Double)
    """Since when its tries have met a full disk, by the database's clock; a checkpoint ends it."""
    stranded_epoch: Mapped[float | None] = mapped_column(Double)
    """While queued: since when every living worker has refused it, by the database's clock."""
    last_error: Mapped[str | None] = mapped_column(Text)
    """What the last attempt failed with, if it failed by itself: the same twice in a row would come again."""
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    step: Mapped[int] = mapped_column(default=0)
    total_steps: Mapped[int] = mapped_column(default=0)
    seconds: Mapped[float] = mapped_column(Double, default=0.0)
    """Training seconds of this run alone, kept ones only: what it took over from another is not among them."""
    wasted_seconds: Mapped[float] = mapped_column(Double, default=0.0)
    """Seconds that attempts spent beyond their last checkpoint."""
    checkpoint: Mapped[Json | None]
    """`dpk_core.protocol.Checkpoint`: its own newest; None again where nobody can go on from it any more."""
    inherited: Mapped[Json | None]
    """`dpk_core.protocol.Checkpoint` of another run of the training that this one went on from; None where it began
    the training. It is settled once the run has a checkpoint of its own."""
    result: Mapped[Json | None]
    """`dpk_core.protocol.RunResult`."""
    failure_kind: Mapped[str | None] = mapped_column(String(16))
    failure: Mapped[str | None] = mapped_column(Text)
    device: Mapped[str | None] = mapped_column(String(100))
    notices: Mapped[list[Json] | None] = mapped_column(JSON(none_as_null=True))
    """`dpk_core.protocol.Notice`: what was noticed while it ran, each once; what counts in the end is in the result."""

    @property
    def final_notices(self) -> list[Json]:
        """Of a finished run those of its result; of a failed one what was noticed before, as it may be the cause."""
        if self.result is not None:
            return list(self.result.get("notices", ()))
        return list(self.notices or ()) if self.state == "failed" else []


class RunRefusal(Base):
    """A worker that lacks what a run needs, and so does not take it again. It forgets its refusals when it starts."""

    __tablename__ = "run_refusals"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id"), primary_key=True)
    worker_id: Mapped[str] = mapped_column(String(100), primary_key=True)
    reason: Mapped[str] = mapped_column(Text)
    """One sentence that names the machine and what it lacks."""
    created_at: Mapped[datetime]


class JobRun(Base):
    """A run as a part of a job. `reused`: it was finished before the job asked for it. `retried`: it failed and is
    tried again, so it counts for its cost alone; another run takes its place.

    purpose: teacher, or why the job trained a student: explore, confirm, audit.
    """

    __tablename__ = "job_runs"

    job_id: Mapped[str] = mapped_column(ForeignKey("selection_jobs.id"), primary_key=True)
    candidate_id: Mapped[int] = mapped_column(ForeignKey("candidates.id"), primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id"), primary_key=True, index=True)
    purpose: Mapped[str] = mapped_column(String(8))
    seed: Mapped[int]
    reused: Mapped[bool] = mapped_column(Boolean)
    retried: Mapped[bool] = mapped_column(Boolean, default=False)


class Measurement(Base):
    """One value of one run at the end of one epoch."""

    __tablename__ = "measurements"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id"), primary_key=True)
    epoch: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    step: Mapped[int]
    value: Mapped[float]


class Decision(Base):
    """A decision about who trains next; only ever added."""

    __tablename__ = "decisions"

    job_id: Mapped[str] = mapped_column(ForeignKey("selection_jobs.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """From 1."""
    document: Mapped[Json]
    """`dpk_core.selection.decide.schedule.Decision`."""
    created_at: Mapped[datetime]


class Verdict(Base):
    """What a job could say at some moment; only ever added. The newest counts."""

    __tablename__ = "verdicts"
    __table_args__ = (Index("uq_verdicts_job_id_number", "job_id", "number", unique=True),)

    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("selection_jobs.id"))
    number: Mapped[int]
    final: Mapped[bool] = mapped_column(Boolean)
    document: Mapped[Json]
    """`dpk_core.selection.decide.verdict.Verdict`: facts with a version."""
    created_at: Mapped[datetime]


class Board(Base):
    """A finished job's leaderboard, made when it is first read and made anew where `version` is an older one."""

    __tablename__ = "boards"

    job_id: Mapped[str] = mapped_column(ForeignKey("selection_jobs.id"), primary_key=True)
    version: Mapped[int]
    """`service.leaderboards.service.VERSION` when it was made."""
    etag: Mapped[str] = mapped_column(String(64))
    document: Mapped[str] = mapped_column(Text)
    """`service.wire.boards.Leaderboard` in JSON, as it is sent."""
    answer: Mapped[Json]
    """The part that best teacher gives: `verdict`, and of the teacher to take `expected` and `gain`."""


class StoredJudgement(Base):
    """How the rules did on one question that the store answers, so that no board judges it again; only ever added."""

    __tablename__ = "judgements"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    """By content: of the question's results and the version of the rules."""
    document: Mapped[Json]
    """`dpk_core.selection.evaluate.rule_evaluation.RuleEvaluation`."""


class Event(Base):
    """What happened to a job, in order; `id` is the `Last-Event-ID` of the stream."""

    __tablename__ = "events"

    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("selection_jobs.id"), index=True)
    kind: Mapped[str] = mapped_column(String(40))
    data: Mapped[Json]
    created_at: Mapped[datetime]


class OutboxMessage(Base):
    """A message to Celery, written in the transaction that made it necessary and sent after the commit."""

    __tablename__ = "outbox"

    id: Mapped[int] = mapped_column(primary_key=True)
    task: Mapped[str] = mapped_column(String(40))
    """`service.outbox.broker.Task`."""
    subject_id: Mapped[str] = mapped_column(String(32))
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None] = mapped_column(index=True)


class IdempotencyKey(Base):
    """A client's key of a submission and the job it made."""

    __tablename__ = "idempotency_keys"

    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    request_hash: Mapped[str] = mapped_column(String(64))
    job_id: Mapped[str] = mapped_column(ForeignKey("selection_jobs.id"))
    created_at: Mapped[datetime]


class UploadedModel(Base):
    """A network that somebody uploaded and that was checked; never changed, as its name follows its content."""

    __tablename__ = "models"

    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    """`own/<the owner's name>-<first digits of the SHA-256>`."""
    sha256: Mapped[str] = mapped_column(String(64))
    """Of the upload."""
    bytes: Mapped[int]
    document: Mapped[Json]
    """`dpk_core.catalogue.own_models.OwnModel`."""
    created_at: Mapped[datetime]


class Worker(Base):
    """A worker process and when it was last heard of."""

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(String(100), primary_key=True)
    queues: Mapped[str] = mapped_column(String(40))
    slots: Mapped[int]
    device: Mapped[str | None] = mapped_column(String(100))
    started_at: Mapped[datetime]
    seen_epoch: Mapped[float]
    trouble: Mapped[str | None] = mapped_column(Text)
    """What a person should mend on its machine, one sentence: the disk is full."""
