"""One run as its page shows it. Scores are fractions in 0 … 1; times are seconds."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from dpk_core.protocol import FailureKind, NoticeLevel
from dpk_core.tasks import Metric
from service.schemas import Wire
from service.wire.boards import CurvePoint
from service.wire.jobs import Notice


class LogEntry(Wire):
    """Something that happened to the run."""

    at: datetime
    level: NoticeLevel
    text: str


class JobOfRun(Wire):
    """A job that the run is a part of. `reused`: it was finished before the job asked for it; `can_retry`: had it
    failed, another could take its place."""

    id: str
    student: str
    dataset: str
    purpose: str
    reused: bool
    can_retry: bool


class KeptCheckpoint(Wire):
    """The newest state from which the training can go on."""

    path: str
    bytes: int
    sha256: str
    step: int
    epoch: int
    inherited: bool


class RunRecord(Wire):
    """Everything the store knows of a run."""

    id: str
    state: str
    purpose: str
    student: str
    teacher: str | None
    dataset: str
    method: str
    seed: int
    epoch: int
    """The last one that it trains."""
    epochs: int
    """Of the whole training."""
    metric: Metric
    step: int
    total_steps: int
    seconds: float
    wasted_seconds: float
    attempts: int
    device: str | None
    worker: str | None
    validation_score: float | None
    test_score: float | None
    guess_score: float | None
    near_chance: bool
    parameters: int | None
    weights: str | None
    versions: dict[str, str]
    notices: list[Notice]
    failure_kind: FailureKind | None
    failure: str | None
    last_error: str | None
    checkpoint: KeptCheckpoint | None
    log: list[LogEntry]
    output: list[str] | None
    """Last lines that its process wrote itself; None where they are not on this machine."""
    jobs: list[JobOfRun]
    points: list[CurvePoint]
    spec: dict[str, Any]
    content_key: str
    training_key: str
