"""What a request means: every default filled in, every run it can lead to spelled out. Pure; stored with the job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from dpk_core.catalogue.datasets import DatasetCard
from dpk_core.catalogue.findings import Finding
from dpk_core.catalogue.tapping import TappedStage
from dpk_core.catalogue.weights import FoundWeights
from dpk_core.recipes import AS_IS, RECIPES, batch_factor, chosen_dpk, chosen_kd, chosen_recipe, fine_tuning
from dpk_core.selection.decide.job_results import EIGHTHS
from dpk_core.selection.decide.summary import PRACTICAL_MARGIN
from dpk_core.spec import (
    DPK_METHODS,
    TRAINING_VERSION,
    MethodSpec,
    Recipe,
    RunSpec,
    Start,
    TeacherReference,
    TrainingSpec,
)
from service.selection_jobs.choices import PreparationKind, TeacherChoice
from service.selection_jobs.schemas import PolicyName, SelectionJobRequest

TEACHER_SEED = 0
"""Every job trains a teacher with the same seed, so that its weights are found again by content."""


NOTHING: Mapping[str, FoundWeights] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """How a teacher comes to its weights: what it starts from (None: random) and how it is trained from there."""

    model: str
    start: Start | None
    kind: PreparationKind
    recipe: Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """What decides who trains next, and when that ends; `service.selection_jobs.schemas.Budget` says what is what."""

    policy: PolicyName = "posterior"
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
class Plan:
    """A job's resolved request. `arms`: the teachers' labels in the request's order, then None for no teacher.

    `preparations`: by label, of the teachers that are not simply trained from random weights by `teacher_recipe`.
    """

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
    preparations: dict[str, Preparation] = field(default_factory=dict)
    spending: Spending = Spending()
    data_findings: tuple[Finding, ...] = ()
    """What people must know of the data set and of how it is read."""
    recipe_notes: tuple[str, ...] = ()
    """What people must know of how the recipe was filled in."""
    taps: dict[str, tuple[TappedStage, ...]] = field(default_factory=dict)
    """The feature maps that are compared under each teacher, by its label; nothing under methods of logits alone."""
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
            recipe=self.student_recipe, seed=seed, start=self.student_start, version=self.version,
        )  # fmt: skip
        return RunSpec(training=training, stop_epoch=stop_epoch)


def make_plan(request: SelectionJobRequest, data: DatasetCard, found: Mapping[str, FoundWeights] = NOTHING) -> Plan:
    """Fills in the defaults. Expects a request that pre-flight has passed; `found`: trained weights by label."""
    budget = request.budget
    student_recipe = student_recipe_of(request, data)
    start = found.get(request.student.label)
    return Plan(
        student=request.student.model,
        dataset=data.name,
        data_fingerprint=data.fingerprint,
        method=method_of(request, data),
        arms=(*(teacher.label for teacher in request.teachers), None),
        seeds=tuple(range(request.seeds)),
        student_recipe=student_recipe,
        teacher_recipe=_teacher_recipe(request, data, budget.teacher_epochs),
        rungs=tuple(budget.rungs or default_rungs(student_recipe.epochs)),
        promote=min(budget.promote, len(request.teachers)),
        train_pictures=data.train_pictures,
        channels=data.channels,
        side=data.side,
        data_findings=data.findings,
        recipe_notes=_recipe_notes(request, student_recipe),
        student_start=None if start is None else start.start,
        preparations={
            teacher.label: _preparation(
                teacher, found.get(teacher.label), data,
                _teacher_recipe(request, data, teacher.epochs or budget.teacher_epochs),
            )
            for teacher in request.teachers
            if teacher.label in found or teacher.epochs is not None
        },
        spending=Spending(
            policy=budget.policy, seconds=budget.seconds, wall_seconds=budget.wall_seconds, runs=budget.runs,
            chance=budget.chance, margin=budget.margin, audit=budget.audit, prefer_cheaper=budget.prefer_cheaper,
        ),
        version=TRAINING_VERSION,
    )  # fmt: skip


def recipe_name(request: SelectionJobRequest, data: DatasetCard) -> str:
    """The recipe that was named, or else the data set's own."""
    return (request.recipe and request.recipe.name) or data.default_recipe


def method_of(request: SelectionJobRequest, data: DatasetCard) -> MethodSpec:
    """The method with every setting; those of DPK that the request does not name come from the recipe.

    Raises WrongValue at `method.<setting>`.
    """
    method = request.method
    if method.name == "kd":
        return MethodSpec(name="kd", kd=chosen_kd(method.settings))
    if method.name not in DPK_METHODS:
        return MethodSpec(name=method.name)
    settings = chosen_dpk(recipe_name(request, data), method.settings)
    return MethodSpec(name=method.name, profile=method.profile, dpk=settings)


def student_recipe_of(request: SelectionJobRequest, data: DatasetCard) -> Recipe:
    """How students train. Raises WrongValue at `recipe.<setting>`."""
    epochs, batch_size = _asked(request, "epochs"), _asked(request, "batch_size")
    return chosen_recipe(recipe_name(request, data), _settings(request), epochs=epochs, batch_size=batch_size)


def _teacher_recipe(request: SelectionJobRequest, data: DatasetCard, epochs: int | None) -> Recipe:
    """How a teacher is prepared: as a student, for epochs of its own. The modules' rate is none of its business."""
    settings = {name: value for name, value in _settings(request).items() if name != "module_learning_rate"}
    name, own = recipe_name(request, data), None if request.recipe is None else request.recipe.epochs
    return chosen_recipe(
        name, settings, epochs=epochs or own, batch_size=_asked(request, "batch_size"),
        milestones_of=_asked(request, "epochs") or RECIPES[name].epochs,
    )  # fmt: skip


def _settings(request: SelectionJobRequest) -> dict[str, Any]:
    """Of the recipe, save the two that the budget may name as well."""
    given = {} if request.recipe is None else request.recipe.settings
    return {name: value for name, value in given.items() if name not in ("epochs", "batch_size")}


def _asked(request: SelectionJobRequest, name: Literal["epochs", "batch_size"]) -> int | None:
    """What budget or recipe say of it; pre-flight has seen to it that they agree."""
    budgeted: int | None = getattr(request.budget, name)
    own: int | None = None if request.recipe is None else getattr(request.recipe, name)
    return own if budgeted is None else budgeted


def _recipe_notes(request: SelectionJobRequest, chosen: Recipe) -> tuple[str, ...]:
    """That the learning rate was changed with the batch size, and by which rule."""
    base = RECIPES[chosen.name]
    if chosen.batch_size == base.batch_size or "learning_rate" in _settings(request):
        return ()
    rule = "in proportion" if base.optimiser == "sgd" else "by the square root"
    factor = batch_factor(base, chosen.batch_size)
    return (
        f"The learning rate follows the batch size {rule}: {base.learning_rate:g} of recipe {base.name} for batches of "
        f"{base.batch_size}, times {factor:.3g} for batches of {chosen.batch_size}.",
    )


def preparation_kind(teacher: TeacherChoice, found: FoundWeights | None, data: DatasetCard) -> PreparationKind:
    """What `auto` comes to: a random teacher is trained; of others the head where it is for other classes."""
    if found is None:
        return "train"
    if teacher.preparation != "auto":
        return teacher.preparation
    return "as_is" if found.made_for.classes == data.classes else "head"


def _preparation(teacher: TeacherChoice, found: FoundWeights | None, data: DatasetCard, base: Recipe) -> Preparation:
    kind = preparation_kind(teacher, found, data)
    recipes: dict[PreparationKind, Recipe] = {
        "train": base, "as_is": AS_IS, "head": base, "fine_tune": fine_tuning(base)
    }  # fmt: skip
    start = None if found is None else found.start
    return Preparation(model=teacher.model, start=start, kind=kind, recipe=recipes[kind])


def default_rungs(epochs: int) -> tuple[int, ...]:
    """Every eighth of the full training, in whole epochs; fewer where they would coincide."""
    return tuple(sorted({rung_epoch(fraction, epochs) for fraction in EIGHTHS}))


def rung_epoch(fraction: float, epochs: int) -> int:
    """The epoch at whose end this part of a training of `epochs` is over."""
    return max(1, round(fraction * epochs))
