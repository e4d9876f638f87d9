"""Methods and recipes as the core defines them. Nothing is read."""

from __future__ import annotations

from typing import get_args

from dpk_core.catalogue.tapping import map_demand
from dpk_core.codec import Json, to_json
from dpk_core.dpk_settings import CIFAR_DPK, KdSettings
from dpk_core.recipes import RECIPES
from dpk_core.spec import DPK_METHODS, LEAST_BATCH, MethodSpec, TaughtMethodName
from service.methods import schemas


def list_methods() -> schemas.MethodList:
    """Every method that needs a teacher."""
    return schemas.MethodList(methods=[_method(name) for name in get_args(TaughtMethodName)])


def list_recipes() -> schemas.RecipeList:
    """Every recipe by name."""
    found = [(name, to_json(recipe)) for name, recipe in RECIPES.items()]
    return schemas.RecipeList(
        recipes=[
            schemas.RecipeView(name=name, settings={key: value for key, value in settings.items() if key != "name"})
            for name, settings in found
        ]
    )


def _method(name: TaughtMethodName) -> schemas.MethodView:
    demand = map_demand(MethodSpec(name=name))
    maps = None
    if demand is not None:
        maps = schemas.MapNeeds(stages=list(demand.stages), least=demand.least, side=demand.side)
    return schemas.MethodView(
        name=name, maps=maps, least_batch=LEAST_BATCH.get(name, (1, ""))[0], settings=_settings(name)
    )  # fmt: skip


def _settings(name: str) -> dict[str, Json]:
    found: dict[str, Json] = {}
    if name == "kd":
        found = to_json(KdSettings())
    elif name in DPK_METHODS:
        found = to_json(CIFAR_DPK)
    return found
