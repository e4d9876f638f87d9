"""Wire schemas that every domain shares. The client imports these; nothing here knows the database."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from dpk_core.nearest import nearest

MOST_ERRORS = 20
"""Entries a problem lists; a request of nothing but errors must not make a long answer."""
MOST_DESCRIBED = 200
"""Errors of an object up to which each is described. That takes .03 ms each, on the event loop; where there are more,
the object is not what was meant."""
LONGEST_NAME = 100
"""Of what is compared with the choices there are; the time that takes grows with its square."""


class Wire(BaseModel):
    """Base of answers: unknown fields are ignored, so that clients read the answers of newer servers."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


class WireRequest(Wire):
    """Base of requests: unknown fields are errors, so that a typing error is not silently ignored."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="wrap")
    @classmethod
    def _offer_a_field(cls, given: object, validate: ModelWrapValidatorHandler[Self]) -> Self:
        """Adds to the error about an unknown field the known one that is most like it."""
        try:
            return validate(given)
        except ValidationError as error:
            if error.error_count() > MOST_DESCRIBED:
                raise PydanticCustomError(
                    "many_errors", "More than {most} things are wrong with this", {"most": MOST_DESCRIBED}
                ) from None
            errors = error.errors(include_url=False)
            found = [_again(cls, each, offer=place < MOST_ERRORS) for place, each in enumerate(errors)]
            raise ValidationError.from_exception_data(cls.__name__, found) from None


class FieldError(Wire):
    """One thing wrong with a request. `field` in JSON notation, e.g. `teachers[2]`."""

    field: str
    message: str
    nearest: str | None = None


class Problem(Wire):
    """RFC 9457 problem details, sent as `application/problem+json` with every error."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldError] = []


def _again(model: type[BaseModel], found: Mapping[str, Any], *, offer: bool) -> InitErrorDetails:
    context, location = found.get("ctx", {}), found["loc"]
    if offer and found["type"] == "extra_forbidden" and len(location) == 1 and len(location[0]) <= LONGEST_NAME:
        known = _field_names(model)
        like = nearest(location[0], known)
        context = {"nearest": None if like is None else known[like]}
    # A custom error, because pydantic's own kinds take no context beyond their own.
    again = PydanticCustomError(found["type"], found["msg"], context)
    return InitErrorDetails(type=again, loc=location, input=found["input"])


@functools.cache
def _field_names(model: type[BaseModel]) -> dict[str, str]:
    """By name, the dotted names of the model's fields and of those of its objects; its own come first."""
    own = {name: name for name in model.model_fields}
    inner: dict[str, str] = {}
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            inner |= {leaf: f"{name}.{path}" for leaf, path in _field_names(kind).items()}
    return inner | own
