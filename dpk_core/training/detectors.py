"""The detector that a training begins with, and what it takes over from its teacher."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from dpk_core.catalogue.datasets import DatasetCard
from dpk_core.catalogue.detection.detectors import check_canvas, kind_and_backbone
from dpk_core.catalogue.detection.plugged import is_plugged
from dpk_core.catalogue.detection.weights import NO_CLASS, fit, present_name
from dpk_core.catalogue.parameters import Parameter
from dpk_core.catalogue.published import COCO_TAG, published_for
from dpk_core.detection.detector import first_class
from dpk_core.detection.inheriting import ClassRows, copy_into, inherit
from dpk_core.detection.models import build_detector, load_classifier, settings_of
from dpk_core.detection.plugged import build_plugged
from dpk_core.detection.published import classifier_state, for_epsilon, published_file
from dpk_core.detection_settings import DetectionSettings
from dpk_core.errors import InvalidRequest
from dpk_core.models.weights import WeightedModel, Weights, check_finite, prefix_note, read_weights
from dpk_core.randomness import derive
from dpk_core.spec import TrainingSpec

FIELD = "weights"


def detector_of(name: str, settings: DetectionSettings, card: DatasetCard, seed: int) -> nn.Module:
    """The detector `name` as the recipe has it, with random weights; a plug-in's as its package gives it.

    Raises InvalidRequest where its levels do not cover the canvas in whole cells."""
    if is_plugged(name):
        return build_plugged(name, classes=card.classes, canvas=settings.canvas, seed=seed)
    chosen = settings.of(kind_and_backbone(name, "model")[0])
    check_canvas(settings.canvas, chosen.levels[-1], "recipe.detection.canvas")
    return build_detector(name, classes=card.classes, seed=seed, settings=chosen)


def starting_detector(spec: TrainingSpec, card: DatasetCard, weights: Weights) -> WeightedModel:
    """The student or teacher before its first step, on the CPU. `weights`: `random`, the tag of what is published for
    it, or a file, of the whole detector or of its backbone as a classifier.

    Classes of the data that are none of the weights' begin as drawn. Raises InvalidRequest where the weights do not
    fit, or lack classes and are to be taken as they are.
    """
    assert spec.recipe.detection is not None
    model = detector_of(spec.model, spec.recipe.detection, card, derive(spec.seed, "student"))
    if weights == "random":
        return WeightedModel(model=model)
    source, state = _given(spec.model, weights)
    shapes = {name: Parameter(tuple(each.shape), each.is_floating_point()) for name, each in state.items()}
    found = fit(spec.model, shapes, [settings_of(model)], source, FIELD)
    state = {present_name(name): each for name, each in state.items()}
    state = {name.removeprefix(found.prefix): each for name, each in state.items() if name.startswith(found.prefix)}
    if found.part == "backbone":
        notes = _load_backbone(spec, model, state, source)
    else:
        if weights == COCO_TAG:
            state = for_epsilon(state, model)
        notes = _load_whole(spec, model, state, found.classes, card, source)
    if found.prefix:
        notes = (*notes, prefix_note(source, found.prefix))
    check_finite(model, source)
    return WeightedModel(model=model, notes=notes)


def _given(model: str, weights: Weights) -> tuple[str, Mapping[str, Tensor]]:
    """What messages call the weights, and their tensors."""
    if isinstance(weights, Path):
        return weights.name, read_weights(weights)
    publisher, published = published_for(model, FIELD)[weights]
    source = f"published for {model}" if weights == COCO_TAG else f"published for {publisher}"
    try:
        if weights == COCO_TAG:
            return source, published_file(published.name)
        return source, classifier_state(publisher, weights)
    except OSError as error:
        raise InvalidRequest(FIELD, f"The weights {source} cannot be had here: {error}") from error


def _load_backbone(spec: TrainingSpec, model: nn.Module, state: Mapping[str, Tensor], source: str) -> tuple[str, ...]:
    if spec.recipe.epochs == 0:
        message = f"{spec.model} cannot be taken as it is: the weights {source} are its backbone's; train it, or "
        raise InvalidRequest(FIELD, f"{message}give weights of the whole detector.")
    load_classifier(model, state)
    return (f"Its backbone has the weights {source}; neck and heads are drawn anew.",)


def _load_whole(
    spec: TrainingSpec, model: nn.Module, state: Mapping[str, Tensor], classes: int, card: DatasetCard, source: str
) -> tuple[str, ...]:
    """Everything but the rows of classes that are none of the weights'."""
    order = spec.class_map
    if order is None:
        order = tuple(range(card.classes)) if classes == card.classes else (NO_CLASS,) * card.classes
    pairs = tuple((place, theirs) for place, theirs in enumerate(order) if theirs != NO_CLASS)
    if len(order) != card.classes:
        raise InvalidRequest(
            "class_map", f"The class map has length {len(order)}; {card.name} has {card.classes} classes."
        )
    if any(theirs >= classes for _, theirs in pairs):
        raise InvalidRequest("class_map", f"The weights {source} have classes 0 … {classes - 1}, not {max(order)}.")
    if spec.recipe.epochs == 0 and len(pairs) < card.classes:
        raise InvalidRequest(
            FIELD, f"{spec.model} cannot be taken as it is: of the data's {card.classes} classes {len(pairs)} are "
            f"among the {classes} of the weights {source}; fine-tune it.",
        )  # fmt: skip
    copy_into(model, state, ClassRows(pairs=pairs, own=card.classes, given=classes, first=first_class(model)))
    if len(pairs) == card.classes == classes:
        return ()
    return (
        f"The weights {source} are for {classes} classes: {len(pairs)} of the data's {card.classes} are among them, "
        "the others begin as drawn.",
    )


def take_over(student: nn.Module, teacher: nn.Module, card: DatasetCard) -> str:
    """Copies the teacher's neck and heads into the student, in place; a sentence about it. The teacher was trained on
    the same classes. Raises InvalidRequest where the two are of different kinds."""
    found = inherit(student, teacher, card.classes)
    whole = len(found.copied) + len(found.own)
    return f"Its neck and heads begin as the teacher's: {len(found.copied)} of their {whole} tensors fit."
