"""What selection jobs look like on the wire. Accuracies are fractions in 0 … 1; times are seconds."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from dpk_core.dpk_settings import StageName
from dpk_core.protocol import NoticeLevel
from dpk_core.selection.decide.confirming import Purpose
from dpk_core.selection.decide.verdict import VerdictKind
from service.scheduling.states import CandidateStatus, JobState, PolicyName, PreparationKind, Stage
from service.schemas import Wire, WireRequest
from service.wire.choices import Student, Teacher
from service.wire.setting_choices import Method, MethodChoice, RecipeSettings
from service.wire.trust import Trust

StageState = Literal["waiting", "running", "done", "failed", "stopped", "not_reached"]


class Budget(WireRequest):
    """How much may be spent. What is left out comes from the recipe."""

    epochs: int | None = Field(default=None, ge=2, le=1000, description="Epochs of a student's full training.")
    rungs: list[int] | None = Field(
        default=None, min_length=1, max_length=16, examples=[[3, 6, 12, 24]],
        description="Epochs after which trainings are compared and may stop, rising to `epochs`; default: every "
        "eighth of them.",
    )  # fmt: skip
    policy: PolicyName = Field(default="adaptive", description="What decides who trains next.")
    slots: int | None = Field(
        default=None, ge=1, le=256, description="Trainings that are decided side by side; default: as many as the "
        "workers have slots when the job starts.",
    )  # fmt: skip
    spend_near_chance: bool = Field(
        default=False, description="Train also under teachers that tell the classes no better than chance."
    )
    promote: int = Field(
        default=1,
        ge=1,
        le=32,
        description="Teachers that are trained fully in the end: the likeliest, and others while they may be the best.",
    )
    chance: float = Field(
        default=0.9, gt=0, le=1, description="Exploring ends when the likeliest teacher is best with this chance."
    )
    margin: float = Field(
        default=0.003,
        ge=0,
        le=1,
        description="Differences up to this do not count: exploring also ends when taking the likeliest teacher is "
        "expected to lose no more, and a verdict calls them a tie.",
    )
    audit: float = Field(
        default=0.1, ge=0, le=1, description="Probability that one dropped teacher is trained fully all the same."
    )
    prefer_cheaper: bool = Field(
        default=False, description="Of teachers that cannot be told apart, take the cheapest to train with."
    )
    seconds: float | None = Field(default=None, gt=0, description="Training time of all students together.")
    wall_seconds: float | None = Field(default=None, gt=0, description="After this time the job ends with what it has.")
    runs: int | None = Field(default=None, ge=1, le=1000, description="Student trainings that may be begun.")
    teacher_epochs: int | None = Field(default=None, ge=1, le=1000, description="Epochs of a teacher's preparation.")
    batch_size: int | None = Field(default=None, ge=1, le=4096, description="Pictures a training step; DPK needs 4.")


class SelectionJobRequest(WireRequest):
    """One question: which of these teachers should this student learn from, on this data?"""

    student: Student = Field(examples=["cifar/resnet8w4"], description="`model` or `model@weights`, or an object.")
    dataset: str = Field(max_length=200, examples=["digits"])
    teachers: list[Teacher] = Field(
        min_length=1, max_length=32, examples=[["cifar/resnet8w8", "cifar/resnet20"]],
        description="Each as `model`, `model@weights` or an object that says more.",
    )  # fmt: skip
    method: Method = Field(
        default=MethodChoice(), examples=["dpk", {"name": "dpk", "feature_weight": 3.0, "share": {"floor": 0.2}}],
        description="How the student learns from a teacher: a name, or an object with settings of its own.",
    )  # fmt: skip
    seeds: int = Field(default=3, ge=1, le=20, description="Replicates of every student training.")
    recipe: RecipeSettings | None = Field(
        default=None, examples=["imagenet", {"name": "imagenet", "precision": "bfloat16"}],
        description="How networks are trained: a recipe's name, or an object with settings in place of its own; "
        "default: the data set's own recipe.",
    )  # fmt: skip
    budget: Budget = Budget()
    classes: int | None = Field(
        default=None, ge=2, description="Classes the student must tell apart; checked against the data set if given."
    )


class Links(Wire):
    """Where to go from a job. Each is to be put behind the server's address, the path of that included."""

    self: str
    leaderboard: str
    events: str
    cancel: str
    page: str
    report: str


class Notice(Wire):
    """Something that a reader of the results must know. `warning`: a result may not be what it seems."""

    level: NoticeLevel
    message: str


class StageProgress(Wire):
    """One stage's progress in training steps.

    `failed`: nothing of it came to an end, or the job failed in it; `stopped`: the job was cancelled in it;
    `not_reached`: the job ended before it.
    """

    stage: Stage
    title: str
    done: int
    total: int
    state: StageState


class TappedMap(Wire):
    """A feature map that is read from a network: `module` gives it, with `channels` and `side` x `side` positions."""

    module: str
    channels: int
    side: int


class TappedStage(Wire):
    """The maps of student and teacher that are compared at one stage, counted from the deepest."""

    stage: StageName
    student: TappedMap
    teacher: TappedMap


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
    waiting_for: str | None = Field(
        default=None, description="What the job waits for that a person must see to, as a sentence."
    )
    verdict: str | None = Field(description="The newest verdict in words, with its cautions.")
    headline: str = Field(
        description="What there is to say first: the failure, the cancellation, the verdict or what is going on."
    )
    notices: list[Notice] = Field(description="What limits left out, and what holds for every row.")
    taps: dict[str, list[TappedStage]] = Field(
        default={},
        description="The feature maps that the method compares, by teacher; none under methods of logits alone.",
    )
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


class RungResult(Wire):
    """Validation accuracy after so many epochs."""

    epochs: int
    accuracy: float


class SeedResult(Wire):
    """What one seed gave: at each rung that was reached, and first and last of them once more by name.

    `test_accuracy` is read once, at the end of the full training; nothing is decided by it.
    """

    seed: int
    rungs: list[RungResult]
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
    chance: float | None = Field(description="Of being the best of the teachers.")
    gain: Interval | None = Field(description="Expected full accuracy over the arm without a teacher.")
    seconds: float = Field(description="Training time spent for this row in this job, teacher preparation included.")
    seeds: list[SeedResult]
    notices: list[Notice] = Field(description="About the teacher's preparation and the student's trainings.")


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
    """What can be said now. `tied`: teachers that cannot be told from `best`."""

    kind: VerdictKind
    sentence: str
    best: str | None
    tied: list[str]
    final: bool
    margin: float | None = Field(default=None, description="Differences up to it do not count, as a fraction.")
    chance: float | None = Field(default=None, description="That no teacher is better than the best one.")
    near: float | None = Field(default=None, description="Chance that none is better by more than the margin.")
    regret: float | None = Field(default=None, description="Accuracy that taking it is expected to lose, a fraction.")
    change: float | None = Field(
        default=None, description="Chance that training all teachers fully would lead to another one."
    )
    cautions: list[str] = Field(
        default=[], description="Why it may not mean what it seems to, one sentence or two each."
    )


class DecisionStep(Wire):
    """A student's training under `teacher` that a decision carries on to the end of an epoch."""

    teacher: str | None
    seed: int
    epochs: int
    purpose: Purpose


class Decision(Wire):
    """One decision about who trains next. `chances`: of being the best teacher, when it was made; `regret`: score that
    taking the likeliest was expected to lose."""

    number: int
    stage: Literal["exploring", "confirming"]
    steps: list[DecisionStep]
    reason: str = Field(description="Why, as a sentence.")
    chances: dict[str, float]
    regret: float | None


class Purposes(Wire):
    """Training seconds by what they were for. `wasted`: failed and cancelled runs, and what restarts did again."""

    teachers: float
    exploring: float
    confirming: float
    audit: float
    wasted: float


class Ledger(Purposes):
    """Device seconds of this job's trainings: on a CPU those that the training itself computed. A run that moved to
    another device counts for its last one."""

    wall: float | None = Field(default=None, description="Seconds by the clock from the job's start to its end.")
    reused: float
    spent: float
    exhaustive: float | None = Field(
        description="What training the student fully under every teacher would have cost, estimated. A teacher that "
        "failed would have failed there too: it counts with what it cost here."
    )
    saved: float | None = Field(
        description="`exhaustive` less `spent`. Trainings that never were have no device, so it is not given by device."
    )
    devices: list[str]
    by_device: dict[str, float] = Field(description="What was spent on each device.")
    purposes_by_device: dict[str, Purposes] = Field(description="The same by what it was for.")


class CurvePoint(Wire):
    """Values at the end of an epoch."""

    epoch: int
    values: dict[str, float]


class Curve(Wire):
    """The learning curve of one training, however many runs carried it."""

    candidate_id: int
    label: str
    purpose: Literal["teacher", "student"]
    seed: int
    points: list[CurvePoint]


class Setup(Wire):
    """What the request came to when every default was filled in: all it takes to repeat the job."""

    student_weights: StartingWeights
    method_settings: dict[str, Any] = Field(
        description="The method with every setting, those of DPK or of KD as an object."
    )
    method_changes: dict[str, Any] = Field(
        description="By dotted name, the settings of the method that differ from the recipe's defaults."
    )
    recipe: str
    recipe_settings: dict[str, Any] = Field(description="Every setting of a student's training.")
    recipe_changes: dict[str, Any] = Field(
        description="Those that the request changed, beside epochs, batch size and what follows from them."
    )
    recipe_notes: list[str] = Field(default=[], description="How the learning rate was fitted to the batch size.")
    learning_rate: float
    batch_size: int
    epochs: int
    rungs: list[int]
    teacher_epochs: int
    policy: PolicyName
    promote: int
    seeds: list[int]
    train_pictures: int
    channels: int
    side: int = Field(description="Of a picture, in pixels, as the networks see it.")
    data_fingerprint: str
    data_notes: list[str] = Field(
        default=[],
        description="What must be known of the data set: left out, copied, read in a way that is not obvious.",
    )
    training_version: int


class Leaderboard(Wire):
    """Everything a page or a report shows about a job."""

    job: Job
    setup: Setup
    rows: list[Row]
    verdict: Verdict | None
    decisions: list[Decision]
    correlations: list[Correlation]
    trust: Trust
    ledger: Ledger
    curves: list[Curve]
