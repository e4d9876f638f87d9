"""Help of the options that make up a request: what the wire schema says of a field, its choices and its default."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, get_args, get_origin

from pydantic import BaseModel

from dpk_core.recipes import RECIPES
from service.selection_jobs.choices import TeacherChoice
from service.selection_jobs.schemas import Budget, SelectionJobRequest


def budget(name: str) -> str:
    """Help of a field of the budget."""
    return _help(Budget, name)


def request(name: str, text: str | None = None) -> str:
    """Help of a field of the request; `text` stands in for the description, where that is about JSON."""
    return _help(SelectionJobRequest, name, text)


def _help(owner: type[BaseModel], name: str, text: str | None = None) -> str:
    field = owner.model_fields[name]
    said = text or field.description or ""
    if choices := _choices(owner, name):
        said += f" One of: {', '.join(choices)}."
    shown = field.default if isinstance(field.default, str | int | float) and field.default is not False else None
    return said if shown is None else f"{said} Default: {shown}."


def _choices(owner: type[BaseModel], name: str) -> Collection[str]:
    if owner is SelectionJobRequest and name == "recipe":
        return RECIPES
    annotation = owner.model_fields[name].annotation
    return get_args(annotation) if get_origin(annotation) is Literal else ()


STUDENT = "The student, as family/name[@weights]."
PREPARATIONS = ", ".join(_choices(TeacherChoice, "preparation"))
TEACHER = (
    "A candidate teacher, as family/name[@weights][,preparation[=epochs]]; give it once per teacher. Weights: random, "
    f"pretrained or file:name.safetensors. Preparation: {PREPARATIONS}."
)
METHOD = request("method", "How the student learns from a teacher.")
