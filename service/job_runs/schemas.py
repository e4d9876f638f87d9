"""What a job's runs and its log look like on the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from dpk_core.tasks import Metric
from service.events.schemas import EventKind
from service.schemas import Wire
from service.wire.boards import CurvePoint

RunState = Literal["queued", "running", "finished", "failed", "cancelled"]


class JobRun(Wire):
    """A training carried up to some epoch, as a part of a job."""

    id: str
    teacher: str | None = Field(description="The candidate it was made for; None: the arm without a teacher.")
    purpose: str = Field(description="`teacher`: its preparation; of a student `explore`, `confirm`, `audit`.")
    model: str = Field(description="The network that trains.")
    seed: int
    epochs: int = Field(description="The epoch up to which it trains.")
    state: RunState
    reused: bool = Field(description="Whether it was finished before the job asked for it.")
    step: int
    total_steps: int
    validation_score: float | None
    test_score: float | None
    seconds: float = Field(description="Device seconds of this run alone.")
    wasted_seconds: float = Field(description="Device seconds beyond a checkpoint that was gone back to.")
    attempts: int = Field(description="Counted anew after each checkpoint that is further than those before.")
    device: str | None
    failure: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class JobRunList(Wire):
    """The runs of a job, in the order of its arms and seeds."""

    metric: Metric = Field(description="Of their scores.")
    runs: list[JobRun]


class JobRunDetails(JobRun):
    """One run with what it trains and what it measured."""

    spec: dict[str, Any] = Field(description="`dpk_core.spec.RunSpec`: everything that the training depends on.")
    points: list[CurvePoint]
    notices: list[str]
    last_error: str | None = Field(description="What its last attempt failed with, if it failed by itself.")
    waits: list[str] = Field(description="Why workers do not take it, one sentence each.")


class LogLine(Wire):
    """Something that happened to a job."""

    id: int
    at: datetime
    kind: EventKind
    text: str


class JobLog(Wire):
    """What happened, in order. `over`: nothing more will; else ask again with `after` = `next_after`."""

    lines: list[LogLine]
    next_after: int
    over: bool
