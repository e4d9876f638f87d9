"""Methods and recipes as the core defines them. Nothing is read."""

from __future__ import annotations

from typing import get_args

from dpk_core.catalogue.tapping import map_demand
from dpk_core.codec import Json, to_json
from dpk_core.detection_settings import PyramidSettings
from dpk_core.dpk_settings import CIFAR_DPK, KdSettings
from dpk_core.recipes import RECIPES_OF
from dpk_core.spec import DPK_METHODS, LEAST_BATCH, TAUGHT_METHODS, AskedMethodName, MethodSpec, TaughtMethodName
from dpk_core.tasks import TaskName
from service.methods import schemas
from service.selection_jobs.tasks import setting_names


def list_methods() -> schemas.MethodList:
    """Every method that needs a teacher, by task."""
    classification = [_method(name) for name in get_args(TaughtMethodName)]
    return schemas.MethodList(methods=[*classification, *map(_of_detection, TAUGHT_METHODS["detection"])])


def list_recipes() -> schemas.RecipeList:
    """Every recipe by task and name."""
    return schemas.RecipeList(
        recipes=[
            schemas.RecipeView(name=name, task=task, settings=_settings_of(to_json(recipe)))
            for task in get_args(TaskName)
            for name, recipe in RECIPES_OF[task].items()
        ]
    )


def _settings_of(recipe: dict[str, Json]) -> dict[str, Json]:
    return {key: value for key, value in recipe.items() if key != "name"}


def _method(name: TaughtMethodName) -> schemas.MethodView:
    demand = map_demand(MethodSpec(name=name))
    maps = None
    if demand is not None:
        maps = schemas.MapNeeds(stages=list(demand.stages), least=demand.least, side=demand.side)
    return schemas.MethodView(
        name=name, task="classification", maps=maps, least_batch=LEAST_BATCH.get(name, (1, ""))[0],
        settings=_settings(name),
    )  # fmt: skip


def _of_detection(name: AskedMethodName) -> schemas.MethodView:
    own = setting_names("detection", name)
    settings = {key: value for key, value in to_json(PyramidSettings()).items() if key in own}
    return schemas.MethodView(
        name=name, task="detection", maps=None, least_batch=LEAST_BATCH.get(name, (1, ""))[0], settings=settings
    )


def _settings(name: str) -> dict[str, Json]:
    found: dict[str, Json] = {}
    if name == "kd":
        found = to_json(KdSettings())
    elif name in DPK_METHODS:
        found = to_json(CIFAR_DPK)
    return found
