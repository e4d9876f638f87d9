"""A job's plan: its request with every default filled in, and every run that it can lead to. Stored with the job."""

from __future__ import annotations

from dataclasses import dataclass, field

from dpk_core.catalogue.detection.levels import ComparedLevel
from dpk_core.catalogue.finding import Finding
from dpk_core.catalogue.tapping import TappedStage
from dpk_core.preprocessing import ModelPreprocessing
from dpk_core.selection.decide.summary import PRACTICAL_MARGIN
from dpk_core.spec import MethodSpec, Recipe, RunSpec, Start, TeacherReference, TrainingSpec
from dpk_core.tasks import TaskName
from service.scheduling.states import ClassesBy, PolicyName, PreparationKind

TEACHER_SEED = 0
"""Every job trains a teacher with the same seed, so that its weights are found again by content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """How a teacher comes to its weights: what it starts from (None: random) and how it is trained from there.

    `preprocessing`, `class_map`: as in `TrainingSpec`. `stated_by`: who says how pictures are prepared, empty where
    nobody does. `lacks`: a class of the data that is none of the weights', where names are known and do not agree.
    """

    model: str
    start: Start | None
    kind: PreparationKind
    recipe: Recipe
    preprocessing: ModelPreprocessing | None = None
    stated_by: str = ""
    class_map: tuple[int, ...] | None = None
    classes_by: ClassesBy = "number"
    lacks: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """What decides who trains next, and when that ends; `service.wire.jobs.Budget` says what is what."""

    policy: PolicyName = "adaptive"
    slots: int | None = None
    spend_near_chance: bool = False
    seconds: float | None = None
    wall_seconds: float | None = None
    runs: int | None = None
    chance: float = 0.9
    margin: float = PRACTICAL_MARGIN
    audit: float = 0.1
    prefer_cheaper: bool = False

    @property
    def is_limited(self) -> bool:
        """Whether it may have to end before everything is trained that should be."""
        return any(limit is not None for limit in (self.seconds, self.wall_seconds, self.runs))


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedDetectors:
    """What is known of detectors before any training: the levels that are compared under each teacher, by label, and
    parameters by model."""

    levels: dict[str, tuple[ComparedLevel, ...]]
    parameters: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A job's resolved request. `arms`: the teachers' labels in the request's order, then None for no teacher.

    `preparations`: by label, of the teachers that are not simply trained from random weights by `teacher_recipe`.
    """

    task: TaskName
    student: str
    dataset: str
    data_fingerprint: str
    method: MethodSpec
    arms: tuple[str | None, ...]
    seeds: tuple[int, ...]
    student_recipe: Recipe
    teacher_recipe: Recipe
    rungs: tuple[int, ...]
    """Epochs after which trainings are compared and may stop; rising, the last one is all of them."""
    promote: int
    train_pictures: int
    channels: int
    side: int
    """Of a picture, in pixels, and of its channels before, as the networks see it."""
    student_start: Start | None = None
    student_classes: tuple[int, ...] | None = None
    """Of a student detector with weights, `class_map` as in `TrainingSpec`."""
    preparations: dict[str, Preparation] = field(default_factory=dict)
    spending: Spending = Spending()
    data_findings: tuple[Finding, ...] = ()
    """What people must know of the data set and of how it is read."""
    recipe_notes: tuple[str, ...] = ()
    """What people must know of how the recipe was filled in."""
    batch_size_asked: int | None = None
    """None: the recipe's, or smaller where the data is small."""
    taps: dict[str, tuple[TappedStage, ...]] = field(default_factory=dict)
    """The feature maps that are compared under each teacher, by its label; nothing under methods of logits alone."""
    detectors: PlannedDetectors | None = None
    """Of a job of detection."""
    version: int
    """The training version that all of its runs are of: the code's when the plan was made."""

    @property
    def epochs(self) -> int:
        """Of a student's full training."""
        return self.student_recipe.epochs

    @property
    def fractions(self) -> tuple[float, ...]:
        """The rungs as parts of the full training."""
        return tuple(rung / self.epochs for rung in self.rungs)

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches only: an incomplete last batch is left out, so every CKA step sees `batch_size` pictures."""
        return self.train_pictures // self.student_recipe.batch_size

    def preparation(self, teacher: str) -> Preparation:
        """How the arm `teacher` comes to its teacher's weights."""
        plain = Preparation(model=teacher, start=None, kind="train", recipe=self.teacher_recipe)
        return self.preparations.get(teacher, plain)

    def teacher_run(self, teacher: str) -> RunSpec:
        """The preparation of a teacher."""
        preparation = self.preparation(teacher)
        training = TrainingSpec(
            role="teacher", model=preparation.model, dataset=self.dataset, data_fingerprint=self.data_fingerprint,
            method=MethodSpec(name="none"), teacher=None, recipe=preparation.recipe, seed=TEACHER_SEED,
            start=preparation.start, trains="head" if preparation.kind == "head" else "all", version=self.version,
            task=self.task,
            preprocessing=preparation.preprocessing, class_map=preparation.class_map,
        )  # fmt: skip
        return RunSpec(training=training, stop_epoch=preparation.recipe.epochs)

    def student_run(self, teacher: str | None, seed: int, stop_epoch: int) -> RunSpec:
        """The student's training under `teacher` up to an epoch; None: without a teacher, at equal budget."""
        reference = None
        if teacher is not None:
            prepared = self.teacher_run(teacher).training
            reference = TeacherReference(model=prepared.model, training_key=prepared.key())
        training = TrainingSpec(
            role="student", model=self.student, dataset=self.dataset, data_fingerprint=self.data_fingerprint,
            method=MethodSpec(name="none") if teacher is None else self.method, teacher=reference,
            recipe=self.student_recipe, seed=seed, start=self.student_start, version=self.version, task=self.task,
            class_map=self.student_classes,
        )  # fmt: skip
        return RunSpec(training=training, stop_epoch=stop_epoch)


def rung_epoch(fraction: float, epochs: int) -> int:
    """The epoch at whose end this part of a training of `epochs` is over."""
    return max(1, round(fraction * epochs))
