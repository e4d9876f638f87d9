"""Help of the options that make up a request: what the wire schema says of a field, its choices and its default."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, get_args, get_origin

from pydantic import BaseModel

from client.teacher_text import PREPARATIONS, PREPROCESSING
from dpk_core.recipes import RECIPES_OF
from dpk_core.spec import TAUGHT_METHODS, AskedMethodName
from service.wire.jobs import Budget, SelectionJobRequest
from service.wire.setting_choices import MethodChoice


def budget(name: str) -> str:
    """Help of a field of the budget."""
    return _help(Budget, name)


def request(name: str) -> str:
    """Help of a field of the request."""
    return _help(SelectionJobRequest, name)


def _help(owner: type[BaseModel], name: str) -> str:
    field = owner.model_fields[name]
    said = field.description or ""
    if choices := _choices(owner, name):
        said += f" One of: {', '.join(choices)}."
    shown = field.default if isinstance(field.default, str | int | float) and field.default is not False else None
    return said if shown is None else f"{said} Default: {shown}."


def _choices(owner: type[BaseModel], name: str) -> Collection[str]:
    annotation = owner.model_fields[name].annotation
    return get_args(annotation) if get_origin(annotation) is Literal else ()


STUDENT = "The student, as family/name[@weights]."
TEACHER = (
    "A candidate teacher, as family/name[@weights], with [,preparation[=epochs]] and [,mean=0.5,size=224] behind it; "
    "give it once per teacher. Weights: random, pretrained, a tag of the library, own, or file:NAME (safetensors or "
    f"PyTorch). Preparation: {', '.join(PREPARATIONS)}. How pictures were prepared for its weights: "
    f"{', '.join(PREPROCESSING)}; channels and class_map as 0.5/0.4/0.3."
)
METHODS = get_args(AskedMethodName)
POLICIES = _choices(Budget, "policy")
PROFILES = _choices(MethodChoice, "profile")
ASKED_METHOD = f"How the student learns: {', '.join(METHODS)}. Default: {MethodChoice().name}."
METHOD = (
    "How the student learns from a teacher, or a file of JSON that says it with settings (FILE.json). One of: "
    f"{', '.join(TAUGHT_METHODS['classification'])}. On boxes: {', '.join(TAUGHT_METHODS['detection'])}. Default: "
    f"{MethodChoice().name}."
)
PROFILE = _help(MethodChoice, "profile")
RECIPE = (
    "How networks are trained, or a file of JSON that says it with settings (FILE.json). Default: the data set's own. "
    f"One of: {', '.join(RECIPES_OF['classification'])}. On boxes: {', '.join(RECIPES_OF['detection'])}."
)
SETTING = (
    "A setting of method or recipe, as method.feature_weight=3 or recipe.precision=bfloat16; lists as JSON. Once per "
    "setting; docs/methods.md lists them."
)
