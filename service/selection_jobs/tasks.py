"""What belongs to which task: data sets, methods with their settings, recipes and models; and where a request mixes
them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import get_args

from dpk_core.catalogue.detection.detectors import BACKBONES, DETECTORS, FAMILY, KINDS
from dpk_core.catalogue.models import ModelCard
from dpk_core.detection_settings import PyramidSettings
from dpk_core.dpk_settings import DpkSettings, KdSettings
from dpk_core.errors import InvalidRequest
from dpk_core.nearest import nearest
from dpk_core.recipes import RECIPES_OF
from dpk_core.spec import DPK_METHODS, TAUGHT_METHODS
from dpk_core.tasks import TaskName, task_of_data
from service.schemas import FieldError
from service.wire.jobs import SelectionJobRequest

DIRECT = ("feature_weight", "prior", "plain")
"""The settings of methods that compare the levels of pyramids directly."""


def of_task(card: ModelCard, task: TaskName, dataset: str, field: str) -> ModelCard:
    """The card. Raises InvalidRequest on `field` where the model is one of another task."""
    if card.task == task:
        return card
    member = card.name.rpartition("/")[2]
    if task == "detection":
        same = f"{FAMILY}/{KINDS[0]}_{member}"
        near = same if same in DETECTORS else nearest(card.name, DETECTORS)
        message = f"{card.name} tells classes, and {dataset} has boxes; take a detector ({FAMILY}/…)."
    else:
        near = next((f"torchvision/{backbone}" for backbone in BACKBONES if member.endswith(f"_{backbone}")), None)
        message = f"{card.name} finds boxes, and {dataset} has classes; take a classifier, or a data set boxes/…."
    raise InvalidRequest(field, message, near)


def mismatches(request: SelectionJobRequest) -> Iterator[FieldError]:
    """Data set, method, settings and recipe that are not of the request's task."""
    if found := list(_data(request)):
        yield from found  # of what else is wrong nothing can be said before it is known which is meant
        return
    yield from _method(request)
    yield from _recipe(request)


def _data(request: SelectionJobRequest) -> Iterator[FieldError]:
    if task_of_data(request.dataset) == "detection" and request.task != "detection":
        message = f"{request.dataset} has boxes, so the task is detection; leave it out."
        yield FieldError(field="task", message=message, nearest="detection")
    elif request.task == "detection" and task_of_data(request.dataset) != "detection":
        message = f"A job of detection takes a data set of boxes, named boxes/…, not {request.dataset!r}."
        yield FieldError(field="dataset", message=message)


def _method(request: SelectionJobRequest) -> Iterator[FieldError]:
    method, known = request.method, TAUGHT_METHODS[request.task]
    whole = not method.settings and not method.inherit and method.profile == "probe"
    if method.name not in known:
        message = f"{method.name} is no method of {request.task}; there are {', '.join(known)}."
        near = nearest(method.name, known) or known[0]
        yield FieldError(field="method" if whole else "method.name", message=message, nearest=near)
        return
    if method.inherit and request.task != "detection":
        message = "Only detectors begin with their teacher's neck and heads; leave this out."
        yield FieldError(field="method.inherit", message=message)
    yield from _settings(request)


def _settings(request: SelectionJobRequest) -> Iterator[FieldError]:
    """Settings that the method does not have."""
    method, own = request.method, setting_names(request.task, request.method.name)
    has_modules = method.name in DPK_METHODS
    has = f"only the settings {', '.join(own)}" if own else "no settings"
    of_task = " of detection" if request.task == "detection" else ""
    for name in [*(["profile"] if method.profile != "probe" and not has_modules else []), *method.settings]:
        if name not in own:
            instead = "" if has_modules else ", or take dpk"
            message = f"The method {method.name}{of_task} has {has}; leave this out{instead}."
            yield FieldError(field=f"method.{name}", message=message)


PINNED = {"dpk_no_teacher_tokens": "share", "dpk_features_only": "logit_weight"}
"""The setting that makes a control arm of DPK what it is, and so cannot be chosen."""


def setting_names(task: TaskName, method: str) -> list[str]:
    """What may be set of a method, beside its profile and `inherit`."""
    if task == "detection":
        every = [field.name for field in fields(PyramidSettings)]
        return every if method == "dpk" else list(DIRECT) if method in ("feature_mse", "fgd") else []
    if method in DPK_METHODS:
        return [field.name for field in fields(DpkSettings) if field.name != PINNED.get(method)]
    return [field.name for field in fields(KdSettings)] if method == "kd" else []


def _recipe(request: SelectionJobRequest) -> Iterator[FieldError]:
    recipe, known = request.recipe, RECIPES_OF[request.task]
    if recipe is None or recipe.name is None or recipe.name in known:
        return
    every = {name: task for task in get_args(TaskName) for name in RECIPES_OF[task]}
    what = f"{recipe.name} is a recipe of {every[recipe.name]}" if recipe.name in every else (
        f"There is no recipe {recipe.name!r}"
    )  # fmt: skip
    message = f"{what}; there are {', '.join(known)}."
    near = nearest(recipe.name, known) or (next(iter(known)) if recipe.name in every else None)
    yield FieldError(field="recipe.name" if recipe.settings else "recipe", message=message, nearest=near)
