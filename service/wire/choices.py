"""Models as a request names them: with the weights they start from, and for a teacher how it is prepared.

A text `model@weights` and the object `{"model": …, "weights": …}` say the same; what is said no more than that goes out
as text.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    WrapSerializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from dpk_core.catalogue.names import canonical
from dpk_core.catalogue.weight_names import RANDOM, join_weights, split_weights
from dpk_core.preprocessing import MOST_SIDE, ChannelOrder, Interpolation
from service.scheduling.states import PreparationKind
from service.schemas import WireRequest

MOST_CLASSES = 40_000
"""Of a class map: what a body of `service.doors.bodies.LARGEST_BODY` holds, in numbers of five digits."""
Channels = float | Annotated[tuple[float, ...], Field(min_length=1, max_length=3)]
_OWN = ("preprocessing", "class_map")
"""Left out where they are not given."""


class ModelChoice(WireRequest):
    """A model and its weights."""

    model_config = ConfigDict(frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _in_our_words(cls, given: object) -> object:
        """Names as the libraries print them are taken too."""
        if not isinstance(given, dict) or not isinstance(given.get("model"), str):
            return given
        weights = given.get("weights") or RANDOM
        if not isinstance(weights, str):
            return given
        model, weights = canonical(given["model"], weights)
        return {**given, "model": model, "weights": weights}

    model: str = Field(max_length=200, examples=["timm/resnet18"])
    weights: str = Field(
        default=RANDOM, max_length=120, examples=["pretrained"],
        description="`random`; `pretrained`: what its library publishes by default; a tag of its library (`a2_in1k`); "
        "`own`: what an uploaded model holds; "
        "`file:<name>`: a safetensors or PyTorch file under the server's weights root.",
    )  # fmt: skip

    @property
    def label(self) -> str:
        """The one name of this model with these weights: what an arm is called everywhere."""
        return join_weights(self.model, self.weights)

    def __str__(self) -> str:
        return self.label


class PreprocessingChoice(WireRequest):
    """How pictures were prepared for a teacher's weights; before what is stated of them elsewhere.

    It sees (scale · picture − mean) / std, pictures in 0 … 1. Of mean, std and scale, those left out are 0, 1 and 1.
    """

    model_config = ConfigDict(frozen=True)

    mean: Channels | None = Field(default=None, description="One number, or one for each of three channels.")
    std: Channels | None = Field(default=None, description="As mean; above 0.")
    scale: float | None = Field(
        default=None, gt=0, description="What white is before the mean is subtracted: 1 or 255."
    )
    scaling: Literal["measured", "data"] | None = Field(
        default=None,
        description="Where mean and std are not known. `measured`: of the data set's own and the common scalings, the "
        "one that is clearly best on validation pictures, which is the default of weights that are taken as they are; "
        "`data`: the data set's own.",
    )
    size: int | None = Field(
        default=None, ge=1, le=MOST_SIDE, description="Pictures are resized to this side, in pixels."
    )
    interpolation: Interpolation | None = Field(default=None, description="How they are resized; default: bilinear.")
    channel_order: ChannelOrder | None = Field(default=None, description="Default: rgb.")


class TeacherChoice(ModelChoice):
    """A candidate teacher."""

    preparation: Literal["auto", PreparationKind] = Field(
        default="auto",
        description="`auto`: random weights are trained; others are taken as they are, or where their head is for "
        "another number of classes a new head is trained.",
    )
    epochs: int | None = Field(
        default=None, ge=1, le=1000, description="Epochs of its preparation; default: `budget.teacher_epochs`."
    )
    preprocessing: PreprocessingChoice | None = Field(
        default=None,
        description="How pictures were prepared for its weights; default: what their file, its side-car or their "
        "library says, else as the data set's.",
    )
    class_map: tuple[int, ...] | None = Field(
        default=None, min_length=1, max_length=MOST_CLASSES, fail_fast=True,
        description="For each class of the data, in order, the number of the one of the weights that it is; default: "
        "by the names of the classes where both are known, else the same numbers.",
    )  # fmt: skip


def _from_text(value: object) -> object:
    if isinstance(value, str):
        model, weights = split_weights(value)
        return {"model": model, "weights": weights}
    if not isinstance(value, dict | ModelChoice):
        raise PydanticCustomError("model_choice", "This must be a model's name or an object")
    return value


def _to_text(choice: ModelChoice) -> str:
    return choice.label


def _to_text_or_object(choice: TeacherChoice, whole: SerializerFunctionWrapHandler) -> str | dict[str, Any]:
    if choice == TeacherChoice(model=choice.model, weights=choice.weights):
        return choice.label
    given: dict[str, Any] = whole(choice)
    return {name: value for name, value in given.items() if value is not None or name not in _OWN}


Student = Annotated[
    ModelChoice, BeforeValidator(_from_text, json_schema_input_type=str | ModelChoice), PlainSerializer(_to_text)
]
Teacher = Annotated[
    TeacherChoice,
    BeforeValidator(_from_text, json_schema_input_type=str | TeacherChoice),
    WrapSerializer(_to_text_or_object),
]
