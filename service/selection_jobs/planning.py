"""From a request to a plan: every default filled in. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

from dpk_core.catalogue.datasets import DatasetCard
from dpk_core.catalogue.detection.detectors import is_detector
from dpk_core.catalogue.weights import FoundWeights
from dpk_core.recipes import (
    RECIPES_OF,
    as_is,
    batch_factor,
    chosen_dpk,
    chosen_kd,
    chosen_pyramid,
    chosen_recipe,
    fine_tuning,
)
from dpk_core.selection.decide.job_results import EIGHTHS
from dpk_core.spec import DPK_METHODS, MODULE_METHODS, TRAINING_VERSION, MethodSpec, Recipe
from dpk_core.tasks import METRICS
from service.scheduling.plan import Plan, Preparation, Spending, rung_epoch
from service.scheduling.states import PreparationKind
from service.selection_jobs.detector_inputs import built_for, detector_preparation
from service.selection_jobs.teacher_inputs import PLAIN, TeacherInput
from service.wire.choices import TeacherChoice
from service.wire.jobs import SelectionJobRequest

NOTHING: Mapping[str, FoundWeights] = MappingProxyType({})
NO_INPUTS: Mapping[str, TeacherInput] = MappingProxyType({})


def make_plan(
    request: SelectionJobRequest, data: DatasetCard, found: Mapping[str, FoundWeights] = NOTHING,
    inputs: Mapping[str, TeacherInput] = NO_INPUTS, student_classes: tuple[int, ...] | None = None,
) -> Plan:  # fmt: skip
    """Fills in the defaults. Expects a request that pre-flight has passed; `found`: trained weights by label, `inputs`:
    what teachers' weights take; `student_classes`: which of the data's classes is which of the student's weights."""
    budget = request.budget
    start = found.get(request.student.label)
    student_recipe = built_for(student_recipe_of(request, data), request.student.model, start)
    return Plan(
        task=request.task,
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
        recipe_notes=_recipe_notes(request, data, student_recipe),
        batch_size_asked=_asked(request, "batch_size"),
        student_start=None if start is None else start.start,
        student_classes=student_classes,
        preparations={
            teacher.label: _preparation(
                teacher, found.get(teacher.label), data, inputs.get(teacher.label, PLAIN),
                _teacher_recipe(request, data, teacher.epochs or budget.teacher_epochs),
            )
            for teacher in request.teachers
            if teacher.label in found or teacher.epochs is not None
        },
        spending=Spending(
            policy=budget.policy, slots=budget.slots, spend_near_chance=budget.spend_near_chance,
            seconds=budget.seconds, wall_seconds=budget.wall_seconds, runs=budget.runs,
            chance=budget.chance, margin=_margin(request), audit=budget.audit, prefer_cheaper=budget.prefer_cheaper,
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
    if request.task == "detection":
        if method.name == "inherit":
            return MethodSpec(name="inherit")
        pyramid = chosen_pyramid(method.settings)
        return MethodSpec(name=method.name, profile=method.profile, pyramid=pyramid, inherit=method.inherit)
    if method.name == "kd":
        return MethodSpec(name="kd", kd=chosen_kd(method.settings))
    if method.name not in DPK_METHODS:
        return MethodSpec(name=method.name)
    settings = chosen_dpk(recipe_name(request, data), method.settings)
    return MethodSpec(name=method.name, profile=method.profile, dpk=settings)


def student_recipe_of(request: SelectionJobRequest, data: DatasetCard) -> Recipe:
    """How students train. Raises WrongValue at `recipe.<setting>`."""
    return chosen_recipe(
        recipe_name(request, data), _settings(request), epochs=_asked(request, "epochs"),
        batch_size=_asked(request, "batch_size"), train_pictures=data.train_pictures,
    )  # fmt: skip


def _teacher_recipe(request: SelectionJobRequest, data: DatasetCard, epochs: int | None) -> Recipe:
    """How a teacher is prepared: as a student, for epochs of its own. The modules' rate is none of its business."""
    settings = {name: value for name, value in _settings(request).items() if name != "module_learning_rate"}
    name, own = recipe_name(request, data), None if request.recipe is None else request.recipe.epochs
    return chosen_recipe(
        name, settings, epochs=epochs or own, batch_size=_asked(request, "batch_size"),
        train_pictures=data.train_pictures,
        milestones_of=_asked(request, "epochs") or RECIPES_OF[request.task][name].epochs,
    )  # fmt: skip


def _margin(request: SelectionJobRequest) -> float:
    asked = request.budget.margin
    return METRICS[request.task].margin if asked is None else asked


def _settings(request: SelectionJobRequest) -> dict[str, Any]:
    """Of the recipe, save the two that the budget may name as well."""
    given = {} if request.recipe is None else request.recipe.settings
    return {name: value for name, value in given.items() if name not in ("epochs", "batch_size")}


def _asked(request: SelectionJobRequest, name: Literal["epochs", "batch_size"]) -> int | None:
    """What budget or recipe say of it; pre-flight has seen to it that they agree."""
    budgeted: int | None = getattr(request.budget, name)
    own: int | None = None if request.recipe is None else getattr(request.recipe, name)
    return own if budgeted is None else budgeted


def _recipe_notes(request: SelectionJobRequest, data: DatasetCard, chosen: Recipe) -> tuple[str, ...]:
    """That batches are smaller than the recipe's as the data is small, or which learning rates were changed with the
    batch size that was asked for."""
    base, pictures = RECIPES_OF[request.task][chosen.name], data.train_pictures
    if chosen.batch_size == base.batch_size:
        return ()
    if _asked(request, "batch_size") is None:
        return (
            f"Batches are of {chosen.batch_size}, so that an epoch of {pictures} training pictures has "
            f"{pictures // chosen.batch_size} steps; in the {base.batch_size} of recipe {base.name} it would have "
            f"{pictures // base.batch_size}. Name a batch_size to have another.",
        )
    settings, notes = _settings(request), []
    factor, ratio = batch_factor(base, chosen.batch_size), chosen.batch_size / base.batch_size
    if "learning_rate" not in settings:
        rule = "in proportion" if factor == ratio else "by the square root"
        notes.append(
            f"The learning rate follows the batch size {rule}: {base.learning_rate:g} of recipe {base.name} for "
            f"batches of {base.batch_size}, times {factor:.3g} for batches of {chosen.batch_size}."
        )
    if "module_learning_rate" not in settings and request.method.name in MODULE_METHODS:
        notes.append(
            f"The learning rate of the method's modules follows the batch size by the square root: "
            f"{base.module_learning_rate:g} of recipe {base.name}, times {math.sqrt(ratio):.3g}."
        )
    return tuple(notes)


def preparation_kind(
    teacher: TeacherChoice, found: FoundWeights | None, data: DatasetCard, taken: TeacherInput
) -> PreparationKind:
    """What `auto` comes to: a random teacher is trained; of others the head where it is for other classes."""
    if found is None:
        return "train"
    if is_detector(teacher.model) and teacher.preparation in ("auto", "head"):  # pre-flight refuses a new head
        return detector_preparation(found, data, taken)
    if teacher.preparation != "auto":
        return teacher.preparation
    return "as_is" if found.made_for.classes == data.classes or taken.class_map is not None else "head"


def _preparation(
    teacher: TeacherChoice, found: FoundWeights | None, data: DatasetCard, taken: TeacherInput, base: Recipe
) -> Preparation:
    kind, base = preparation_kind(teacher, found, data, taken), built_for(base, teacher.model, found)
    recipes: dict[PreparationKind, Recipe] = {
        "train": base, "as_is": as_is(base), "head": base, "fine_tune": fine_tuning(base)
    }  # fmt: skip
    start = None if found is None else found.start
    return Preparation(
        model=teacher.model, start=start, kind=kind, recipe=recipes[kind], preprocessing=taken.preprocessing,
        stated_by=taken.source, class_map=taken.class_map, classes_by=taken.classes_by, lacks=taken.lacks,
    )  # fmt: skip


def default_rungs(epochs: int) -> tuple[int, ...]:
    """Every eighth of the full training, in whole epochs; fewer where they would coincide."""
    return tuple(sorted({rung_epoch(fraction, epochs) for fraction in EIGHTHS}))
