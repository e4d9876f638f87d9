"""What weights of detectors take and give, how detectors are built for them, and what is known of a job's detectors."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from dpk_core.catalogue.datasets import DatasetCard
from dpk_core.catalogue.detection.detectors import check_canvas, check_heirs, check_same_build, kind_and_backbone
from dpk_core.catalogue.detection.levels import ComparedLevel, compared_levels
from dpk_core.catalogue.detection.parameters import parameter_count
from dpk_core.catalogue.detection.plugged import check_student, is_plugged, plugged_levels
from dpk_core.catalogue.detection.weights import NO_CLASS, class_map
from dpk_core.catalogue.own_models import own_model
from dpk_core.catalogue.weights import FoundWeights
from dpk_core.detection_settings import DetectionSettings, DetectorSettings
from dpk_core.errors import InvalidRequest
from dpk_core.preprocessing import AS_DATA, ModelPreprocessing
from dpk_core.spec import MethodSpec, Recipe
from service.scheduling.plan import PlannedDetectors
from service.scheduling.states import PreparationKind
from service.schemas import FieldError
from service.selection_jobs.teacher_inputs import PLAIN, REQUEST, TeacherInput, asked_preprocessing, check_map
from service.wire.choices import TeacherChoice
from service.wire.jobs import SelectionJobRequest

Ask = Callable[[Callable[[], Any]], Any]
"""Gives the answer to a question; None where it finds something wrong, which is noted."""


def detector_input(
    choice: TeacherChoice, found: FoundWeights, data: DatasetCard, names: Sequence[str], field: str
) -> TeacherInput:
    """What the request says of a teacher's weights, before what is stated of them. Of a backbone's weights nothing: it
    is trained on with the rest, on pictures as they are.

    Raises InvalidRequest on the field below `field` that cannot be.
    """
    if choice.preprocessing is not None and (
        choice.preprocessing.size is not None or choice.preprocessing.scaling == "measured"
    ):
        named = "size" if choice.preprocessing.size is not None else "scaling"
        message = "Detectors see pictures on the job's canvas, and their scaling is not measured; give mean and std."
        raise InvalidRequest(f"{field}.preprocessing.{named}", message)
    if found.made_for.classes == 0:
        return PLAIN
    known, source = found.stated.preprocessing, found.stated.source if found.stated.preprocessing else ""
    if choice.preprocessing is not None:
        known = asked_preprocessing(choice.preprocessing, known or AS_DATA, f"{field}.preprocessing")
        source = REQUEST
    taken = TeacherInput(preprocessing=_on_canvas(known), source=source)
    if choice.class_map is not None:
        check_map(choice.class_map, found.made_for.classes, data, f"{field}.class_map")
        return replace(taken, class_map=choice.class_map, classes_by="request")
    if found.stated.classes is None:
        return taken
    return replace(taken, class_map=matched_classes(found, names), classes_by="name")


def matched_classes(found: FoundWeights, names: Sequence[str]) -> tuple[int, ...] | None:
    """For each class of the data the weights' class of its name; None where that is not known, or the same order."""
    if found.stated.classes is None or found.made_for.classes == 0:
        return None
    order = class_map(found.stated.classes, names)
    return None if order == tuple(range(found.made_for.classes)) else order


def knows_all(found: FoundWeights, data: DatasetCard, taken: TeacherInput) -> bool:
    """Whether the weights find every class of the data."""
    if taken.class_map is None:
        return found.made_for.classes == data.classes
    return NO_CLASS not in taken.class_map


def detector_preparation(found: FoundWeights, data: DatasetCard, taken: TeacherInput) -> PreparationKind:
    """What `auto` comes to: a backbone's weights are trained under the whole recipe, with neck and heads."""
    if found.made_for.classes == 0:
        return "train"
    return "as_is" if knows_all(found, data, taken) else "fine_tune"


def preparation_faults(
    teacher: TeacherChoice, found: FoundWeights, data: DatasetCard, taken: TeacherInput, field: str
) -> Iterator[FieldError]:
    """What cannot be done with a detector's weights."""
    wanted, usual = teacher.preparation, detector_preparation(found, data, taken)
    if wanted == "head":
        message = "Detectors are trained as a whole."
    elif wanted == "train" and usual != "train":
        message = "This would throw the weights away and begin with random ones; to train them on, take fine_tune."
        usual = "fine_tune"
    elif wanted == "as_is" and usual != "as_is":
        known = 0 if taken.class_map is None else data.classes - taken.class_map.count(NO_CLASS)
        what = "are its backbone's" if usual == "train" else f"know {known} of its {data.classes} classes"
        message = f"Taken as it is, {teacher.label} could not find the boxes of {data.name}: its weights {what}."
    else:
        return
    yield FieldError(field=f"{field}.preparation", message=message, nearest=usual)


def built_for(recipe: Recipe, model: str, found: FoundWeights | None) -> Recipe:
    """The recipe with detectors of the model's kind built as its weights say."""
    if found is None or found.detector is None or recipe.detection is None:
        return recipe
    return replace(recipe, detection=recipe.detection.built(kind_and_backbone(model, "model")[0], found.detector))


def planned_detectors(
    request: SelectionJobRequest, data: DatasetCard, ask: Ask, method: MethodSpec | None, recipe: Recipe,
    models: Sequence[str | None], found: Mapping[str, FoundWeights],
) -> PlannedDetectors:  # fmt: skip
    """What can be said of the student, which is the first, and the teachers that are known."""
    student, *teachers = models
    if student is not None:
        student = ask(functools.partial(check_student, student, "student"))
    own = recipe if student is None else built_for(recipe, student, found.get(request.student.label))
    plain, detection = recipe.detection, own.detection
    assert plain is not None
    assert detection is not None
    levels: dict[str, tuple[ComparedLevel, ...]] = {}
    parameters: dict[str, int] = {}
    for place, (choice, teacher) in enumerate(zip(request.teachers, teachers, strict=True)):
        if teacher is None:
            continue
        settings = _settings(plain, teacher, found.get(choice.label))
        _known(ask, teacher, settings, data, detection, parameters)
        if method is not None and student is not None:
            compared = functools.partial(compared_levels, method, detection, student, teacher, settings)
            levels[choice.label] = ask(compared) or ()
            if method.inherits:
                ask(functools.partial(_check_heirs, detection, student, teacher, settings, f"teachers[{place}]"))
    if student is not None:
        _known(ask, student, _settings(detection, student, None), data, detection, parameters)
    return PlannedDetectors(levels=levels, parameters=parameters)


def _check_heirs(
    detection: DetectionSettings, student: str, teacher: str, settings: DetectorSettings | None, field: str
) -> None:
    """Raises InvalidRequest where the student cannot begin with the teacher's neck and heads. `settings`: its own."""
    check_heirs(student, teacher, field)
    ours = _settings(detection, student, None)
    if ours is not None and settings is not None:
        check_same_build(student, ours, teacher, settings, field)


def _known(
    ask: Ask, model: str, settings: DetectorSettings | None, data: DatasetCard, detection: DetectionSettings,
    parameters: dict[str, int],
) -> None:  # fmt: skip
    """Notes the detector's parameters, and whether it fits the canvas. `settings`: None of a plug-in's."""
    if settings is None:
        own = own_model(model)
        parameters[model] = 0 if own is None else own.count
        last = max(int(name[1:]) for name in plugged_levels(model, "model"))
    else:
        parameters[model] = parameter_count(model, settings, data.classes)
        last = settings.levels[-1]
    ask(functools.partial(check_canvas, detection.canvas, last, "recipe.detection.canvas"))


def _settings(detection: DetectionSettings, model: str, found: FoundWeights | None) -> DetectorSettings | None:
    """None of a plug-in's, which its package builds."""
    if is_plugged(model):
        return None
    said = None if found is None else found.detector
    return said or detection.of(kind_and_backbone(model, "model")[0])


def _on_canvas(own: ModelPreprocessing | None) -> ModelPreprocessing | None:
    """Without a size, which is the canvas; None where nothing else is said."""
    own = None if own is None else replace(own, side=None, measured=False)
    return None if own == AS_DATA else own
