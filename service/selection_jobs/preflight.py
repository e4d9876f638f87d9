"""Everything that can be known to go wrong before any training, each thing once, at the field that must change."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from dpk_core.catalogue.datasets import DatasetCard, box_dataset_card, dataset_card, dataset_check
from dpk_core.catalogue.detection.cards import box_dataset_check
from dpk_core.catalogue.detection.detectors import is_detector
from dpk_core.catalogue.fitting import check_pictures
from dpk_core.catalogue.models import ModelCard, check_data, model_card
from dpk_core.catalogue.parameters import weights_card
from dpk_core.catalogue.patches import check_patches
from dpk_core.catalogue.tapping import TappedStage, tapped_stages
from dpk_core.catalogue.weight_names import RANDOM
from dpk_core.catalogue.weights import FoundWeights, find_weights
from dpk_core.codec import WrongValue
from dpk_core.detection_settings import DetectionSettings
from dpk_core.dpk_settings import DpkSettings
from dpk_core.errors import DataFault, InvalidRequest
from dpk_core.recipes import RECIPES_OF
from dpk_core.spec import LEAST_BATCH, LEAST_NORMALISED, TAUGHT_METHODS, MethodSpec
from service.problems import Rejected, field_error
from service.scheduling.plan import Plan
from service.schemas import FieldError
from service.selection_jobs.detector_inputs import (
    detector_input,
    matched_classes,
    planned_detectors,
    preparation_faults,
)
from service.selection_jobs.planning import make_plan, method_of, student_recipe_of
from service.selection_jobs.tasks import mismatches, of_task
from service.selection_jobs.teacher_inputs import PLAIN, TeacherInput, teacher_input
from service.wire.choices import ModelChoice, TeacherChoice
from service.wire.jobs import SelectionJobRequest

MOST_PICTURE_PASSES = 10**10
"""Pictures times epochs over all trainings of a job: beyond it a budget is a slip of the pen."""

LEAST_RUNS = 2
"""Trainings begun that can say anything: two arms up to the first rung."""

T = TypeVar("T")


class _Findings:
    """What is wrong, in the order in which it was found, each thing once."""

    def __init__(self) -> None:
        self.errors: list[FieldError] = []

    def ask(self, question: Callable[[], T]) -> T | None:
        """The answer; None where the question found something wrong."""
        try:
            return question()
        except InvalidRequest as error:
            if (wrong := field_error(error)) not in self.errors:
                self.errors.append(wrong)
        except DataFault as error:
            self.errors.append(FieldError(field="dataset", message=str(error)))
        except WrongValue as error:
            self.errors.append(FieldError(field=error.place, message=f"{error.message}."))
        return None


def check(request: SelectionJobRequest, data_root: Path | None, weights_root: Path | None = None) -> Plan:
    """The plan of a request that can work. Raises Rejected naming everything that is wrong, not only the first thing.

    The student may be among the teachers: what it learns from its own kind is a fair question.
    """
    findings, detectors = _Findings(), None
    mismatched = list(mismatches(request))
    known = request.recipe is None or request.recipe.name is None or request.recipe.name in RECIPES_OF[request.task]
    if {"task", "dataset"} & {each.field for each in mismatched}:
        raise Rejected.because(mismatched)
    data = findings.ask(lambda: _data_card(request, data_root))
    method = None
    if data is not None and not mismatched:
        method = findings.ask(functools.partial(method_of, request, data))
    models = _Models(request, data, findings, data_root, weights_root)
    student = models.look_up(request.student, "student")
    teachers = [models.look_up(choice, f"teachers[{place}]") for place, choice in enumerate(request.teachers)]
    taps: dict[str, tuple[TappedStage, ...]] = {}
    tapping = request.method.name if request.method.name in TAUGHT_METHODS["classification"] else "kd"
    for place, (choice, teacher) in enumerate(zip(request.teachers, teachers, strict=True)):
        if data is None:
            break
        field, taken = f"teachers[{place}]", models.inputs.get(choice.label, PLAIN)
        if request.task == "classification" and student is not None and teacher is not None:
            asked = method or MethodSpec(name=tapping)
            tapped = functools.partial(tapped_stages, asked, student, teacher, data.side, field, taken.side(data))
            taps[choice.label] = findings.ask(tapped) or ()
        findings.errors.extend(_preparation(choice, models.found.get(choice.label), data, taken, field))
    for errors in (_duplicates(request), _said_twice(request), mismatched):
        findings.errors.extend(errors)
    if method is not None and method.dpk is not None:
        findings.errors.extend(_patches(method.dpk, taps))
    if data is not None:
        refused = (each.message for each in data.findings if each.level == "refusal")
        findings.errors.extend(FieldError(field="dataset", message=message) for message in refused)
        findings.errors.extend(_classes(request, data))
        recipe = findings.ask(functools.partial(student_recipe_of, request, data)) if known else None
        if recipe is not None and request.task == "detection":
            cards = [None if each is None else each.name for each in (student, *teachers)]
            detectors = planned_detectors(request, data, findings.ask, method, recipe, cards, models.found)
        if method is not None and recipe is not None:
            plan = make_plan(request, data, models.found, models.inputs, models.student_classes)
            findings.errors.extend([*_budget(request, plan), *_same_weights(request, plan)])
    if findings.errors:
        raise Rejected.because(findings.errors)
    assert data is not None
    return replace(
        make_plan(request, data, models.found, models.inputs, models.student_classes), taps=taps, detectors=detectors
    )


def _data_card(request: SelectionJobRequest, data_root: Path | None) -> DatasetCard:
    """Pictures with boxes lie on the recipe's canvas, as far as the recipe can be understood."""
    card = dataset_card(request.dataset, data_root, "dataset")
    if request.task == "classification":
        return card
    with suppress(WrongValue, KeyError):
        recipe = student_recipe_of(request, card)
        if recipe.detection is not None:
            return box_dataset_card(request.dataset, data_root, "dataset", recipe.detection)
    return card


class _Models:
    """The cards of a request's models; by label, the weights that were `found` and what teachers take (`inputs`)."""

    def __init__(
        self, request: SelectionJobRequest, data: DatasetCard | None, findings: _Findings, data_root: Path | None,
        weights_root: Path | None,
    ) -> None:  # fmt: skip
        self._request, self._data, self._findings = request, data, findings
        self._data_root, self._weights_root = data_root, weights_root
        self.found: dict[str, FoundWeights] = {}
        self.inputs: dict[str, TeacherInput] = {}
        self.student_classes: tuple[int, ...] | None = None
        """As `class_map` in `TrainingSpec`, of a student that starts from a detector's weights."""

    def look_up(self, choice: ModelChoice, field: str) -> ModelCard | None:
        """The model's card; what is wrong with it, with its weights or for the data goes into the findings."""
        ask, data, place = self._findings.ask, self._data, f"{field}.weights"
        card = ask(lambda: model_card(choice.model, field))
        if card is None:
            return None
        if ask(lambda: of_task(card, self._request.task, self._request.dataset, field)) is None:
            return None
        detection = self._detection()
        weights = ask(lambda: find_weights(choice.model, choice.weights, self._weights_root, place, detection))
        if weights is not None:
            self.found[choice.label] = weights
        if data is None:
            return card
        taken = PLAIN
        if isinstance(choice, TeacherChoice):
            if weights is not None and card.task == "detection":
                taken = ask(lambda: detector_input(choice, weights, data, self._class_names(), field)) or PLAIN
            else:
                taken = ask(lambda: teacher_input(choice, weights, data, self._class_names, field)) or PLAIN
            self.inputs[choice.label] = taken
        elif weights is not None and card.task == "detection":
            self.student_classes = matched_classes(weights, self._class_names())
        side, channels = taken.side(data), taken.channels(data)
        ask(functools.partial(check_data, card, channels, data.classes, field))
        if weights is not None:
            ask(functools.partial(check_pictures, weights.made_for, side, channels, weights.start.name, place))
        return card

    def _detection(self) -> DetectionSettings | None:
        """How the recipe builds detectors, as far as it can be understood."""
        with suppress(WrongValue, KeyError):
            return None if self._data is None else student_recipe_of(self._request, self._data).detection
        return None

    def _class_names(self) -> list[str]:
        """Of the data's classes."""
        if (detection := self._detection()) is not None:
            found = box_dataset_check(self._request.dataset, self._data_root, detection, "dataset")
            return [each.name for each in found.classes]
        return [each.name for each in dataset_check(self._request.dataset, self._data_root, "dataset").classes]


def _patches(settings: DpkSettings, taps: Mapping[str, tuple[TappedStage, ...]]) -> Iterator[FieldError]:
    """Patches that do not tile some teacher's map, or leave too few tokens of it."""
    for index, stage in enumerate(settings.stages):
        patch = stage.patch
        if patch is None:
            continue
        sides = (
            (label, each.teacher.side) for label, found in taps.items() for each in found if each.stage == stage.name
        )
        for label, side in sides:
            try:
                check_patches(patch, (side, side), f"{label} at stage {stage.name}")
            except ValueError as problem:
                fits = max((size for size in range(1, min(side // 2, patch) + 1) if not side % size), default=1)
                yield FieldError(field=f"method.stages[{index}].patch", message=str(problem), nearest=str(fits))
                break


def _preparation(
    teacher: TeacherChoice, found: FoundWeights | None, data: DatasetCard, taken: TeacherInput, field: str
) -> Iterator[FieldError]:
    """What cannot be done with these weights."""
    if found is not None and is_detector(teacher.model):
        yield from preparation_faults(teacher, found, data, taken, field)
        found = None
    wanted, place = teacher.preparation, f"{field}.preparation"
    if teacher.weights == RANDOM and wanted not in ("auto", "train"):
        message = f"Random weights can only be trained; to prepare {teacher.model} in this way, name its weights."
        yield FieldError(field=place, message=message, nearest="train")
    elif teacher.weights != RANDOM and wanted == "train" and not is_detector(teacher.model):
        message = "This would throw the weights away and begin with random ones; to train them on, take fine_tune."
        yield FieldError(field=place, message=message, nearest="fine_tune")
    elif wanted == "as_is" and found and not taken.class_map and found.made_for.classes != data.classes:
        made_for = (
            f"were made for {found.made_for.classes} classes" if found.made_for.classes else "come without a head"
        )
        message = f"The weights of {teacher.label} {made_for}, and {data.name} has {data.classes}."
        yield FieldError(field=place, message=message, nearest="head")
    if wanted == "as_is" and teacher.epochs is not None:
        message = "Weights that are taken as they are take no epochs."
        yield FieldError(field=f"{field}.epochs", message=message)


def _duplicates(request: SelectionJobRequest) -> Iterator[FieldError]:
    first: dict[str, int] = {}
    for index, teacher in enumerate(request.teachers):
        earlier = first.setdefault(teacher.label, index)
        if earlier != index:
            message = f"{teacher.label} is listed already, as teachers[{earlier}]."
            yield FieldError(field=f"teachers[{index}]", message=message)


def _same_weights(request: SelectionJobRequest, plan: Plan) -> Iterator[FieldError]:
    """Files under other names that hold the same weights are one teacher."""
    first: dict[str, int] = {}
    for index, teacher in enumerate(request.teachers):
        earlier = first.setdefault(plan.teacher_run(teacher.label).training.key(), index)
        if request.teachers[earlier].label != teacher.label:
            message = f"{teacher.label} is teachers[{earlier}] under another name: the same weights, byte for byte."
            yield FieldError(field=f"teachers[{index}]", message=message)


def _said_twice(request: SelectionJobRequest) -> Iterator[FieldError]:
    """What recipe and budget can both say, where they do not agree."""
    for name in ("epochs", "batch_size"):
        budgeted, named = getattr(request.budget, name), request.recipe and getattr(request.recipe, name)
        if budgeted is not None and named is not None and budgeted != named:
            message = f"recipe.{name} says {named} and this says {budgeted}; leave one of them out."
            yield FieldError(field=f"budget.{name}", message=message, nearest=str(named))


def _classes(request: SelectionJobRequest, data: DatasetCard) -> Iterator[FieldError]:
    if request.classes is not None and request.classes != data.classes:
        message = f"{data.name} has {data.classes} classes, not {request.classes}."
        yield FieldError(field="classes", message=message, nearest=str(data.classes))


def _budget(request: SelectionJobRequest, plan: Plan) -> Iterator[FieldError]:
    batch, pictures = plan.student_recipe.batch_size, plan.train_pictures
    if batch > pictures:
        message = f"A batch of {batch} is larger than the {pictures} training pictures of {plan.dataset}."
        yield FieldError(field=_place(request, "batch_size"), message=message, nearest=str(pictures))
    else:
        yield from _least_batch(request, plan)
    yield from _rungs(plan)
    yield from _runs(plan)
    # Only a number that was asked for: the default is simply cut to the teachers there are.
    if "promote" in request.budget.model_fields_set and request.budget.promote > len(request.teachers):
        count = len(request.teachers)
        message = f"Only {count} teacher{' is' if count == 1 else 's are'} listed, so no more can be promoted."
        yield FieldError(field="budget.promote", message=message, nearest=str(count))
    passes = picture_passes(plan)
    if passes > MOST_PICTURE_PASSES:
        message = (
            f"This asks for up to {passes:.1e} picture passes; at most {MOST_PICTURE_PASSES:.0e} are allowed. "
            "Take fewer epochs, seeds or teachers."
        )
        yield FieldError(field=_place(request, "epochs"), message=message)


def _least_batch(request: SelectionJobRequest, plan: Plan) -> Iterator[FieldError]:
    """A batch, or each part of an accumulated one, has the pictures that the method and the networks need."""
    batch, parts = plan.student_recipe.batch_size, plan.student_recipe.accumulation
    asked = request.recipe is not None and "accumulation" in request.recipe.settings and parts > 1
    where = f"each of {parts} parts of a batch of {batch}" if asked else "a batch"

    def refusal(message: str, least: int) -> FieldError:
        if asked and batch >= least:
            return FieldError(field="recipe.accumulation", message=message, nearest=str(batch // least))
        return FieldError(field=_place(request, "batch_size"), message=message, nearest=str(least))

    least, reason = LEAST_BATCH.get(request.method.name, (1, ""))
    if batch // parts < least:
        yield refusal(f"The method {request.method.name} needs at least {least} pictures in {where}: {reason}.", least)
    elif batch // parts < LEAST_NORMALISED and (model := _normalised(plan)) is not None:
        message = (
            f"{model} has batch normalisation, which takes its statistics from the pictures of {where} and needs at "
            f"least {LEAST_NORMALISED} of them."
        )
        yield refusal(message, LEAST_NORMALISED)


def _place(request: SelectionJobRequest, name: str) -> str:
    """Where the request says it, or would."""
    by_recipe = request.recipe is not None and getattr(request.recipe, name) is not None
    return f"{'recipe' if by_recipe else 'budget'}.{name}"


def _normalised(plan: Plan) -> str | None:
    """The first network with batch normalisation among those that are trained as a whole, the student first."""
    if plan.task == "detection":
        return plan.student  # of detectors all have it
    prepared = [plan.preparation(arm) for arm in plan.arms if arm is not None]
    trained = [plan.student, *(each.model for each in prepared if each.kind in ("train", "fine_tune"))]
    return next((model for model in trained if weights_card(model, "student").batch_norm), None)


def _rungs(plan: Plan) -> Iterator[FieldError]:
    epochs, rungs = plan.epochs, plan.rungs
    nearest = str(sorted({rung for rung in rungs if 1 <= rung < epochs} | {epochs}))
    if list(rungs) != sorted(set(rungs)) or rungs[0] < 1:
        message = f"Rungs are epochs that rise from 1 on, and {list(rungs)} do not."
        yield FieldError(field="budget.rungs", message=message, nearest=nearest)
    elif rungs[-1] != epochs:
        message = f"The last rung must be the end of the training, epoch {epochs}, not {rungs[-1]}."
        yield FieldError(field="budget.rungs", message=message, nearest=nearest)


def _runs(plan: Plan) -> Iterator[FieldError]:
    runs = plan.spending.runs
    if runs is not None and runs < LEAST_RUNS:
        message = f"With {runs} training nothing can be compared; it takes at least {LEAST_RUNS}."
        yield FieldError(field="budget.runs", message=message, nearest=str(LEAST_RUNS))


def picture_passes(plan: Plan) -> int:
    """Pictures times epochs, were every arm trained fully with every seed."""
    teachers = sum(plan.preparation(arm).recipe.epochs for arm in plan.arms if arm is not None)
    students = len(plan.arms) * len(plan.seeds)
    return plan.train_pictures * (teachers + students * plan.student_recipe.epochs)
