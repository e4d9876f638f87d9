"""Methods and recipes on the wire."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from dpk_core.spec import AskedMethodName
from dpk_core.tasks import TaskName
from service.schemas import Wire


class MapNeeds(Wire):
    """Feature maps that a method compares."""

    stages: list[str] = Field(description="From the deepest map upwards, as far as both networks have them.")
    least: int = Field(description="Maps that each network must have.")
    side: int = Field(description="Least height and width of a map that counts.")


class MethodView(Wire):
    """A way in which a student learns from a teacher."""

    name: AskedMethodName
    task: TaskName
    maps: MapNeeds | None = Field(
        description="Null: it compares class scores alone, or the levels of two detectors' pyramids."
    )
    least_batch: int = Field(description="Pictures that a batch, or each part of an accumulated one, must have.")
    settings: dict[str, Any] = Field(
        description="Defaults of what may be set under `method`, on CIFAR or of detectors."
    )


class MethodList(Wire):
    """Every method."""

    methods: list[MethodView]


class RecipeView(Wire):
    """A way in which networks are trained."""

    name: str
    task: TaskName
    settings: dict[str, Any] = Field(description="Defaults of what may be set under `recipe`.")


class RecipeList(Wire):
    """Every recipe."""

    recipes: list[RecipeView]
