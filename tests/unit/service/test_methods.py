"""The lists of methods and recipes are those of the core, and what they say can be asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import get_args

import pytest
from fastapi.testclient import TestClient

from dpk_core.recipes import DETECTION_RECIPES, RECIPES
from dpk_core.spec import TAUGHT_METHODS, TaughtMethodName
from service.app import create_app
from service.selection_jobs.preflight import check
from service.settings import Settings
from service.wire.jobs import SelectionJobRequest


@pytest.fixture
def client(configure: Callable[..., Settings]) -> Iterator[TestClient]:
    configure()
    with TestClient(create_app(), raise_server_exceptions=False) as opened:
        yield opened


def test_every_method_with_what_it_needs(client: TestClient) -> None:
    listed = client.get("/methods").json()["methods"]
    found = {each["name"]: each for each in listed if each["task"] == "classification"}
    assert set(found) == set(get_args(TaughtMethodName))
    assert found["kd"]["maps"] is None
    assert found["dpk"]["maps"] == {"stages": ["last", "second_last"], "least": 2, "side": 2}
    assert (found["dpk"]["least_batch"], found["kd"]["least_batch"]) == (4, 1)
    assert found["dpk"]["settings"]["feature_weight"] > 0
    assert found["sp"]["settings"] == {}
    of_boxes = {each["name"]: each for each in listed if each["task"] == "detection"}
    assert set(of_boxes) == set(TAUGHT_METHODS["detection"])
    assert set(of_boxes["dpk"]["settings"]) == {"feature_weight", "prior", "plain", "share", "cka_steps"}
    assert set(of_boxes["fgd"]["settings"]) == {"feature_weight", "prior", "plain"}
    assert of_boxes["inherit"]["settings"] == {}


def test_every_recipe_with_its_settings(client: TestClient) -> None:
    listed = client.get("/recipes").json()["recipes"]
    found = {each["name"]: each["settings"] for each in listed}
    assert {each["task"]: each["name"] for each in listed[:: len(listed) - 1]} == {
        "classification": "digits", "detection": "coco"
    }  # fmt: skip
    assert set(found) == set(RECIPES) | set(DETECTION_RECIPES)
    assert found["digits"]["epochs"] == 24
    assert "name" not in found["digits"]


def test_listed_settings_may_be_sent_back(client: TestClient) -> None:
    (recipe,) = (each for each in client.get("/recipes").json()["recipes"] if each["name"] == "digits")
    (method,) = (
        each
        for each in client.get("/methods").json()["methods"]
        if each["name"] == "dpk" and each["task"] == "classification"
    )
    request = {
        "student": "cifar/resnet8w4", "dataset": "digits", "teachers": ["cifar/resnet8"],
        "recipe": {"name": "digits", **recipe["settings"]}, "method": {"name": "dpk", **method["settings"]},
    }  # fmt: skip
    assert check(SelectionJobRequest.model_validate(request), None).student_recipe == RECIPES["digits"]


@pytest.mark.parametrize("path", ["/methods?name=dpk", "/recipes?x=1"])
def test_there_is_nothing_to_ask(path: str, client: TestClient) -> None:
    assert client.get(path).status_code == 422
