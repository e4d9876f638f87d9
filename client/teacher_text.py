"""A candidate teacher as the command line takes it: `family/name@weights,fine_tune=5,mean=0.5,std=0.5`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

from client.errors import InputFault
from dpk_core.catalogue.weight_names import split_weights
from service.wire.choices import PreprocessingChoice, TeacherChoice

PREPARATIONS = get_args(TeacherChoice.model_fields["preparation"].annotation)
PREPROCESSING = tuple(PreprocessingChoice.model_fields)
CLASS_MAP = "class_map"


def read_teacher(text: str) -> str | dict[str, Any]:
    """What the request says. Of the parts between commas the last ones that are options; a file whose name ends like
    an option is for --file. Raises InputFault."""
    name, *parts = text.split(",")
    if not parts:
        return text
    options = [parts.pop()]  # whatever it is: what is wrong with it, the request's own check says
    while parts and _is_option(parts[-1]):
        options.insert(0, parts.pop())
    model, weights = split_weights(",".join([name, *parts]))
    asked: dict[str, Any] = {"model": model, "weights": weights}
    for option in options:
        key, _, value = option.partition("=")
        if key == CLASS_MAP:
            asked[key] = _list(key, value, int)
        elif key in PREPROCESSING:
            asked.setdefault("preprocessing", {})[key] = _list(key, value, float) if key in ("mean", "std") else value
        else:
            asked |= {"preparation": key, "epochs": value or None}
    return asked


def _is_option(part: str) -> bool:
    key = part.partition("=")[0]
    return key in PREPARATIONS or ("=" in part and key in (*PREPROCESSING, CLASS_MAP))


def _list(name: str, text: str, kind: Callable[[str], float]) -> list[float]:
    """Numbers between slashes. Raises InputFault."""
    try:
        return [kind(each) for each in text.split("/")]
    except ValueError:
        raise InputFault(f"{name} takes numbers with / between them, not {text!r}.") from None
