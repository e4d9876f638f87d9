"""What selection jobs look like on the wire. Accuracies are fractions in 0 … 1; times are seconds."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from dpk_core.detection_settings import LevelName
from dpk_core.dpk_settings import StageName
from dpk_core.protocol import NoticeLevel
from dpk_core.selection.decide.facts import VerdictKind
from dpk_core.tasks import TaskName, task_of_data
from service.scheduling.states import JobState, PolicyName, Stage
from service.schemas import Wire, WireRequest
from service.wire.choices import Student, Teacher
from service.wire.setting_choices import Method, MethodChoice, RecipeSettings

StageState = Literal["waiting", "running", "paused", "done", "failed", "stopped", "not_reached"]
Sort = Literal["newest", "oldest", "gain", "cost", "student"]
"""Orders of a list of jobs: by age, the largest gain or cost first, by the student's name."""
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
Tag = Annotated[
    str,
    StringConstraints(strip_whitespace=True, pattern=r"^\w[\w.:/-]*$", max_length=40),
    # Before the length is checked: some letters are two characters in lower case.
    BeforeValidator(lambda tag: tag.lower() if isinstance(tag, str) else tag),
]
Tags = Annotated[
    list[Tag], Field(max_length=20, examples=[["nightly", "team:vision"]]),
    AfterValidator(lambda tags: sorted(set(tags))),
]  # fmt: skip


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
    margin: float | None = Field(
        default=None, ge=0, le=1,
        description="Differences up to this do not count: exploring also ends when taking the likeliest teacher is "
        "expected to lose no more, and a verdict calls them a tie. Default: 0.003 of accuracy, 0.01 of average "
        "precision.",
    )  # fmt: skip
    audit: float = Field(
        default=0.1, ge=0, le=1, description="Probability that one dropped teacher is trained fully all the same."
    )
    prefer_cheaper: bool = Field(
        default=False, description="Of teachers that are not distinguishable, take the cheapest to train with."
    )
    seconds: float | None = Field(default=None, gt=0, description="Training time of all students together.")
    wall_seconds: float | None = Field(default=None, gt=0, description="After this time the job ends with what it has.")
    runs: int | None = Field(default=None, ge=1, le=1000, description="Student trainings that may be begun.")
    teacher_epochs: int | None = Field(default=None, ge=1, le=1000, description="Epochs of a teacher's preparation.")
    batch_size: int | None = Field(default=None, ge=1, le=4096, description="Pictures a training step; DPK needs 4.")


class SelectionJobRequest(WireRequest):
    """One question: which of these teachers should this student learn from, on this data?"""

    task: TaskName = Field(
        default="classification",
        description="What the networks do, and so their metric; default: what the data set is for, `detection` "
        "where it is named boxes/….",
    )
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
    name: Name | None = Field(default=None, description="What to call the job.")
    tags: Tags = Field(default=[], description="Words to find the job by: letters, digits and . : / _ -")

    @model_validator(mode="before")
    @classmethod
    def _task_of_the_data(cls, given: object) -> object:
        """A task that is not named follows the data set."""
        if not isinstance(given, dict) or "task" in given or not isinstance(given.get("dataset"), str):
            return given
        return {**given, "task": task_of_data(given["dataset"])}


def _without_unknown(given: object) -> object:
    """A request inside an answer: a newer server's may have fields, at any depth, that are not known here."""
    is_read = isinstance(given, SelectionJobRequest)
    return given if is_read else SelectionJobRequest.model_validate(given, extra="ignore")


AnsweredRequest = Annotated[SelectionJobRequest, BeforeValidator(_without_unknown)]


class JobDescription(WireRequest):
    """What people call a job; a field that is left out stays as it is."""

    name: Name | None = Field(default=None, description="Null takes the name away.")
    tags: Tags = Field(default=[], description="In place of those that it has.")


class TeacherRequest(WireRequest):
    """A teacher that a job is to compare too."""

    teacher: Teacher = Field(
        examples=["cifar/resnet32"], description="`model`, `model@weights` or an object that says more."
    )


class Links(Wire):
    """Where to go from a job. Each is to be put behind the server's address, the path of that included."""

    self: str
    leaderboard: str
    events: str
    cancel: str
    page: str
    report: str
    request: str = Field(description="The whole request, to be sent again: `dpk submit --file`.")


class Notice(Wire):
    """Something that a reader of the results must know. `warning`: a result may not be what it seems."""

    level: NoticeLevel
    message: str


class StageProgress(Wire):
    """One stage's progress in training steps.

    `failed`: nothing of it came to an end, or the job failed in it; `stopped`: the job was cancelled in it; `paused`:
    it goes on when the job is resumed; `not_reached`: the job ended before it.
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


class ComparedLevel(Wire):
    """A level of the feature pyramids of student and teacher that is compared: a map of `height` x `width` cells."""

    name: LevelName
    student_channels: int
    teacher_channels: int
    height: int
    width: int
    tokens: int | None = Field(description="That DPK cuts it into; null: it is compared cell by cell.")


class Detectors(Wire):
    """What is known of a job's detectors before any training. By teacher: `levels`; by model: `parameters`."""

    height: int = Field(description="Of the canvas that every picture is fitted into, in pixels.")
    width: int
    parameters: dict[str, int]
    levels: dict[str, list[ComparedLevel]]


class Job(Wire):
    """A job as lists and pollers see it."""

    id: str
    state: JobState
    stage: Stage | None
    revision: int
    request: AnsweredRequest
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
    name: str | None = None
    tags: list[str] = Field(default=[])
    leader: str | None = Field(
        default=None, description="The teacher that the verdict is about; null while none leads, or where none helps."
    )
    verdict_kind: VerdictKind | None = Field(default=None, description="Of the newest verdict; null without one.")
    chance: float | None = Field(default=None, description="That no teacher is better than the leader.")
    gain: float | None = Field(default=None, description="The leader's score over no teacher's, a fraction.")
    cost: float = Field(default=0.0, description="Device seconds spent.")
    taps: dict[str, list[TappedStage]] = Field(
        default={},
        description="The feature maps that the method compares, by teacher; none under methods of logits alone.",
    )
    detectors: Detectors | None = Field(default=None, description="Of a job of detection.")
    links: Links


class JobList(Wire):
    """Jobs, newest first. `next_before`: pass as `before` for the next page; None on the last."""

    jobs: list[Job]
    next_before: str | None
