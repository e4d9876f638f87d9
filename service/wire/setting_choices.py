"""Method and recipe as a request names them: by name, or with settings of their own.

The settings on the wire are the fields of `DpkSettings` and `Recipe`, by the same names and of the same types; what a
field's value may be is checked where the dataclass is made (`dpk_core.recipes`). A text `kd` and the object
`{"name": "kd"}` say the same; what is said no more than that goes out as text.
"""

from __future__ import annotations

import dataclasses
import functools
import operator
import types
import typing
from collections.abc import Callable
from typing import Annotated, Any, TypeVar, Union, cast

from pydantic import BaseModel, BeforeValidator, Field, PlainSerializer, TypeAdapter, create_model
from pydantic_core import PydanticCustomError

from dpk_core.detection_settings import PyramidSettings
from dpk_core.dpk_settings import DpkSettings, KdSettings
from dpk_core.spec import AskedMethodName, ProfileName, Recipe
from service.schemas import WireRequest

MOST_ENTRIES = 64
"""Of a list among the settings."""

Chosen = TypeVar("Chosen", bound=WireRequest)
_Whole = Annotated[int, Field(ge=-(2**31), lt=2**31)]


def _with_settings_of(*kinds: type) -> Callable[[type[Chosen]], type[Chosen]]:
    """Adds the fields of settings dataclasses, save those that the class has already. Each may be left out."""

    def added(to: type[Chosen]) -> type[Chosen]:
        all_fields = {name: field for kind in kinds for name, field in _fields(kind, partial=True).items()}
        fields = {name: field for name, field in all_fields.items() if name not in to.model_fields}
        return create_model(to.__name__, __base__=to, __module__=to.__module__, __doc__=to.__doc__, **fields)

    return added


def _fields(kind: type, *, partial: bool) -> dict[str, Any]:
    """`partial`: every field may be left out; else those that have a default."""
    hints = typing.get_type_hints(kind)
    found: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        required = field.default is dataclasses.MISSING and not partial
        # Whether a field was given is read off `model_fields_set`, so the default is never looked at.
        default = Field() if required else Field(default=None, json_schema_extra=_without_default)
        found[field.name] = (_wire(hints[field.name], partial=partial), default)
    return found


def _wire(kind: Any, *, partial: bool) -> Any:
    """The type of a dataclass's field on the wire. Objects in lists are whole: nothing fills them up."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        return _settings_model(cast("type", kind), partial=partial)
    if origin in (Union, types.UnionType):
        return functools.reduce(operator.or_, (_wire(each, partial=partial) for each in arguments))
    if origin is tuple:
        entries: Any = types.GenericAlias(list, (_wire(arguments[0], partial=False),))
        return Annotated[entries, Field(max_length=MOST_ENTRIES)]
    return _Whole if kind is int else kind


@functools.cache
def _settings_model(kind: type, *, partial: bool) -> type[BaseModel]:
    return create_model(
        kind.__name__, __base__=WireRequest, __module__=__name__, __doc__=kind.__doc__, **_fields(kind, partial=partial)
    )


def _without_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


class _Choice(WireRequest):
    """Something by name, with settings in place of its own."""

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that were given, in JSON, objects as far as they were filled in."""
        return self.model_dump(mode="json", exclude_unset=True, exclude={"name", "profile", "inherit"})


@_with_settings_of(DpkSettings, KdSettings, PyramidSettings)
class MethodChoice(_Choice):
    """How the student learns from a teacher. The settings are for `dpk` and its control arms, the weights and the
    temperature for `kd` too; of detection `feature_weight`, `prior`, `plain`, `share` and `cka_steps`. What is left
    out, inside of objects too, belongs to the recipe; lists are taken whole."""

    name: AskedMethodName = "dpk"
    profile: ProfileName = Field(default="probe", description="Sizes of DPK's modules.")
    inherit: bool = Field(default=False, description="A detector begins with its teacher's neck and heads.")


@_with_settings_of(Recipe)
class RecipeChoice(_Choice):
    """How networks are trained. What is left out belongs to the recipe `name`, or without one to the data set's."""

    name: str | None = Field(default=None, max_length=40, description="A recipe by name; default: the data set's own.")
    epochs: int | None = Field(default=None, ge=2, le=1000, description="As `budget.epochs`, for teachers too.")
    batch_size: int | None = Field(default=None, ge=1, le=4096, description="As `budget.batch_size`.")


_METHOD_NAME: TypeAdapter[str] = TypeAdapter(AskedMethodName)
_RECIPE_NAME: TypeAdapter[str] = TypeAdapter(Annotated[str, Field(max_length=40)])


def _from_text(names: TypeAdapter[str], what: str) -> Callable[[object], object]:
    def read(value: object) -> object:
        if isinstance(value, str):
            return {"name": names.validate_python(value)}
        if not isinstance(value, dict | WireRequest):
            raise PydanticCustomError("choice", "This must be a {what}'s name or an object", {"what": what})
        return value

    return read


def _to_text_or_object(choice: MethodChoice | RecipeChoice) -> str | dict[str, Any]:
    given: dict[str, Any] = choice.model_dump(mode="json", exclude_unset=True)
    return choice.name if choice.name is not None and given.keys() <= {"name"} else given


Method = Annotated[
    MethodChoice,
    BeforeValidator(_from_text(_METHOD_NAME, "method"), json_schema_input_type=AskedMethodName | MethodChoice),
    PlainSerializer(_to_text_or_object),
]
RecipeSettings = Annotated[
    RecipeChoice,
    BeforeValidator(_from_text(_RECIPE_NAME, "recipe"), json_schema_input_type=str | RecipeChoice),
    PlainSerializer(_to_text_or_object),
]
