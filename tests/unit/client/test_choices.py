"""`dpk methods` and `dpk recipes`."""

from __future__ import annotations

import json
from collections.abc import Callable

from service.methods.examples import METHOD_LIST, RECIPE_LIST
from service.methods.schemas import MethodList, RecipeList
from tests.unit.client.conftest import FakeServer, Outcome

Dpk = Callable[..., Outcome]


def test_methods_show_what_they_need(server: FakeServer, dpk: Dpk) -> None:
    server.answer("GET /methods", MethodList.model_validate(METHOD_LIST))
    assert dpk("methods").out.splitlines() == [
        "method\tfeature maps\tleast batch\tsettings",
        "kd\tnone\t1\tclass_weight logit_weight temperature",
        "fitnet\t2 of at least 2x2\t2\t–",
    ]
    assert json.loads(dpk("methods", "--json").out) == METHOD_LIST


def test_recipes_show_their_main_settings(server: FakeServer, dpk: Dpk) -> None:
    server.answer("GET /recipes", RecipeList.model_validate(RECIPE_LIST))
    assert dpk("recipes").out.splitlines()[1].split() == ["digits", "24", "64", "0.05", "–", "–", "–"]
    assert json.loads(dpk("recipes", "--json").out) == RECIPE_LIST
