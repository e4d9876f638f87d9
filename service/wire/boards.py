"""What a leaderboard looks like on the wire. Scores, in the metric of the job's task, are fractions in 0 … 1; times are
device seconds."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Any, Literal, Self

from pydantic import Field

from dpk_core.selection.decide.facts import Purpose, VerdictKind
from dpk_core.tasks import Metric
from service.scheduling.states import CandidateStatus, PolicyName, PreparationKind
from service.schemas import Wire
from service.wire.jobs import Job, Notice
from service.wire.trust import Trust


class Summary(Wire):
    """A mean over seeds. `sd` is None for one seed."""

    mean: float
    sd: float | None
    seeds: int

    @classmethod
    def of(cls, scores: Sequence[float]) -> Self | None:
        """Of one score a seed; None without any."""
        if not scores:
            return None
        return cls(mean=fmean(scores), sd=stdev(scores) if len(scores) > 1 else None, seeds=len(scores))


class Interval(Wire):
    """A value with its interval at `confidence`."""

    value: float
    low: float
    high: float
    confidence: float


class RungResult(Wire):
    """Validation score after so many epochs."""

    epochs: int
    score: float


class SeedResult(Wire):
    """What one seed gave: at each rung that was reached, and first and last of them once more by name.

    `test_score` is read once, at the end of the full training; nothing is decided by it.
    """

    seed: int
    rungs: list[RungResult]
    probe_score: float | None
    full_score: float | None
    test_score: float | None
    run_id: str | None = Field(
        default=None, description="The run that carried it furthest; its page is /runs/{run_id}."
    )


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
    teacher_accuracy: float | None = Field(description="The teacher's own validation score, in the job's metric.")
    teacher_test_accuracy: float | None = Field(description="The same on the test pictures.")
    teacher_parameters: int | None
    stamp: str = Field(description="Only rows with the same stamp are ranked together; see `trust`.")
    scores: dict[str, float] = Field(description="What rivals of the probe say of the teacher, by name.")
    preparation: PreparedTeacher | None
    inherits: bool = Field(default=False, description="Whether its students begin with the teacher's neck and heads.")
    probe: Summary | None
    full: Summary | None
    test: Summary | None
    expected: Interval | None = Field(description="Expected score of the fully trained student.")
    chance: float | None = Field(description="Of being the best of the teachers.")
    gain: Interval | None = Field(description="Expected full score over the arm without a teacher.")
    teacher_run_id: str | None = Field(default=None, description="The run that prepared the teacher.")
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
    """What can be said now. `tied`: teachers that are not distinguishable from `best`."""

    kind: VerdictKind
    sentence: str
    best: str | None
    tied: list[str]
    final: bool
    margin: float | None = Field(default=None, description="Differences up to it do not count, as a fraction.")
    chance: float | None = Field(default=None, description="That no teacher is better than the best one.")
    near: float | None = Field(default=None, description="Chance that none is better by more than the margin.")
    regret: float | None = Field(default=None, description="Score that taking it is expected to lose, a fraction.")
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

    wall: float | None = Field(
        default=None,
        description="Seconds by the clock from the job's start to its end, pauses left out; null of a job that "
        "explored anew after a retry or for another teacher.",
    )
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


class SampleBox(Wire):
    """A box in a picture. `corners`: left, top, right, bottom as parts of width and height."""

    corners: list[float]
    label: str
    score: float | None = Field(description="Of a detection; null: a true box.")


class SamplePicture(Wire):
    """A validation picture with its true boxes and those that student and teacher find, the surest first."""

    name: str
    width: int
    height: int
    picture: str | None = Field(description="A data URI; null where it cannot be decoded.")
    truth: list[SampleBox]
    student: list[SampleBox]
    teacher: list[SampleBox] | None = Field(description="Null without a teacher.")


class Samples(Wire):
    """What the student of one candidate, and its teacher, find on a few pictures."""

    candidate_id: int
    seed: int
    pictures: list[SamplePicture]


class Environment(Wire):
    """What trainings were carried out with. `versions`: of Python and packages, by name; empty where not recorded."""

    device: str
    versions: dict[str, str]


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
    environments: list[Environment] = Field(default=[], description="Of the finished trainings, each once.")


class Leaderboard(Wire):
    """Everything a page or a report shows about a job."""

    job: Job
    metric: Metric = Field(description="Of all scores; `direction` says which are better.")
    setup: Setup
    rows: list[Row]
    verdict: Verdict | None
    decisions: list[Decision]
    correlations: list[Correlation]
    trust: Trust
    ledger: Ledger
    curves: list[Curve]
    samples: Samples | None = Field(default=None, description="Of a job of detection, from the first full training on.")
