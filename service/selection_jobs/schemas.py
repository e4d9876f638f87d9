"""What selection jobs look like on the wire. Accuracies are fractions in 0 … 1; times are seconds."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from dpk_core.spec import TaughtMethodName
from service.schemas import Wire
from service.selection_jobs.choices import PreparationKind, Student, Teacher
from service.selection_jobs.trust_schemas import Trust

JobState = Literal["queued", "running", "finished", "failed", "cancelling", "cancelled"]
Stage = Literal["preparing_teachers", "probing", "training", "deciding"]
CandidateStatus = Literal[
    "waiting", "preparing", "probing", "probed", "promoted", "finished", "not_promoted", "failed", "cancelled"
]


class Budget(Wire):
    """How much may be spent. What is left out comes from the recipe."""

    epochs: int | None = Field(default=None, ge=2, le=1000, description="Epochs of a student's full training.")
    probe_epochs: int | None = Field(default=None, ge=1, le=999, description="Epochs after which probes are compared.")
    promote: int = Field(
        default=2, ge=1, le=32, description="Teachers whose probes are continued to the full training."
    )
    teacher_epochs: int | None = Field(default=None, ge=1, le=1000, description="Epochs of a teacher's preparation.")
    batch_size: int | None = Field(default=None, ge=1, le=4096, description="Pictures a training step; DPK needs 4.")


class SelectionJobRequest(Wire):
    """One question: which of these teachers should this student learn from, on this data?"""

    student: Student = Field(examples=["cifar/resnet8w4"], description="`model` or `model@weights`, or an object.")
    dataset: str = Field(max_length=200, examples=["digits"])
    teachers: list[Teacher] = Field(
        min_length=1, max_length=32, examples=[["cifar/resnet8w8", "cifar/resnet20"]],
        description="Each as `model`, `model@weights` or an object that says more.",
    )  # fmt: skip
    method: TaughtMethodName = "dpk"
    profile: Literal["probe", "paper"] = Field(default="probe", description="Sizes of DPK's modules.")
    seeds: int = Field(default=3, ge=1, le=20, description="Replicates of every student training.")
    recipe: str | None = Field(default=None, max_length=40, description="Recipe by name; default: the data set's own.")
    budget: Budget = Budget()
    classes: int | None = Field(
        default=None, ge=2, description="Classes the student must tell apart; checked against the data set if given."
    )


class Links(Wire):
    """Where to go from a job; addresses are relative to the server."""

    self: str
    leaderboard: str
    events: str
    cancel: str
    page: str
    report: str


class StageProgress(Wire):
    """One stage's progress in training steps."""

    stage: Stage
    title: str
    done: int
    total: int
    state: Literal["waiting", "running", "done"]


class Job(Wire):
    """A job as lists and pollers see it."""

    id: str
    state: JobState
    stage: Stage | None
    revision: int
    request: SelectionJobRequest
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    failure: str | None
    progress: list[StageProgress]
    remaining_seconds: float | None = Field(description="Estimate; None while nothing has been timed.")
    verdict: str | None = Field(description="The newest verdict as a sentence.")
    links: Links


class JobList(Wire):
    """Jobs, newest first. `next_before`: pass as `before` for the next page; None on the last."""

    jobs: list[Job]
    next_before: str | None


class Summary(Wire):
    """A mean over seeds. `sd` is None for one seed."""

    mean: float
    sd: float | None
    seeds: int


class Interval(Wire):
    """A value with its interval at `confidence`."""

    value: float
    low: float
    high: float
    confidence: float


class SeedResult(Wire):
    """What one seed gave. `test_accuracy` is read once, at the end of the full training; nothing is decided by it."""

    seed: int
    probe_accuracy: float | None
    full_accuracy: float | None
    test_accuracy: float | None


class StartingWeights(Wire):
    """Where weights come from: `random`, `pretrained` or `file:<name>`. `identity`: what they are known by."""

    weights: str
    identity: str | None


class PreparedTeacher(StartingWeights):
    """How a teacher came to the weights it teaches with. `seconds`: of preparation, also where it was reused."""

    kind: PreparationKind
    epochs: int
    seconds: float | None


class Row(Wire):
    """A candidate on the leaderboard; `teacher` None is the arm without a teacher."""

    rank: int | None
    candidate_id: int
    teacher: str | None
    label: str
    status: CandidateStatus
    reason: str | None
    teacher_accuracy: float | None
    teacher_test_accuracy: float | None
    teacher_parameters: int | None
    stamp: str = Field(description="Only rows with the same stamp are ranked together; see `trust`.")
    scores: dict[str, float] = Field(description="What rivals of the probe say of the teacher, by name.")
    preparation: PreparedTeacher | None
    probe: Summary | None
    full: Summary | None
    test: Summary | None
    expected: Interval | None = Field(description="Expected accuracy of the fully trained student.")
    gain: Interval | None = Field(description="Full accuracy over the arm without a teacher, paired by seed.")
    seconds: float = Field(description="Training time spent for this row in this job, teacher preparation included.")
    seeds: list[SeedResult]


class Correlation(Wire):
    """A correlation across teachers. `value` is None, with the reason in `note`, where it cannot be measured."""

    name: Literal["teacher_probe", "teacher_full", "probe_full"]
    title: str
    scope: Literal["job", "store"]
    statistic: Literal["pearson", "spearman", "kendall"]
    rung: float | None = Field(description="At which fraction of the full training the probe was read.")
    value: float | None
    low: float | None
    high: float | None
    confidence: float
    pairs: int
    note: str | None


class Verdict(Wire):
    """What can be said now."""

    kind: Literal["best", "tie", "no_teacher", "undecided"]
    sentence: str
    best: str | None
    tied: list[str]
    final: bool


class Ledger(Wire):
    """Training seconds of this job by purpose. `saved`: against training every teacher fully, estimated."""

    teachers: float
    probes: float
    full: float
    wasted: float
    reused: float
    spent: float
    exhaustive: float | None
    saved: float | None
    devices: list[str]


class CurvePoint(Wire):
    """Values at the end of an epoch."""

    epoch: int
    values: dict[str, float]


class Curve(Wire):
    """The learning curve of one training: the probe and, where there is one, the full run that continued it."""

    candidate_id: int
    label: str
    purpose: Literal["teacher", "student"]
    seed: int
    probe_epochs: int | None
    points: list[CurvePoint]


class Setup(Wire):
    """What the request came to when every default was filled in: all it takes to repeat the job."""

    student_weights: StartingWeights
    recipe: str
    learning_rate: float
    batch_size: int
    epochs: int
    probe_epochs: int
    teacher_epochs: int
    promote: int
    seeds: list[int]
    train_pictures: int
    data_fingerprint: str
    training_version: int


class Leaderboard(Wire):
    """Everything a page or a report shows about a job."""

    job: Job
    setup: Setup
    rows: list[Row]
    verdict: Verdict | None
    correlations: list[Correlation]
    trust: Trust
    ledger: Ledger
    curves: list[Curve]
