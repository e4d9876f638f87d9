"""Texts at the ends of their columns, on SQLite and on Postgres, which alone refuses longer ones."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import Settings

REQUEST = {"student": "cifar/resnet8w4", "dataset": "digits", "teachers": ["cifar/resnet8w8"]}
TWO = "\u0130"
"""A letter that is two characters in lower case."""


@pytest.fixture
def client(store: Settings) -> TestClient:
    del store
    headers = {"Origin": "http://testserver"}
    return TestClient(create_app(), raise_server_exceptions=False, follow_redirects=False, headers=headers)


def submit(client: TestClient, **change: Any) -> Any:
    return client.post("/selection-jobs", json={**REQUEST, **change})


def test_a_tag_is_as_long_as_it_is_in_lower_case(client: TestClient) -> None:
    fits, longer = TWO * 20, TWO * 21
    job = submit(client, tags=[f" {fits} "]).json()
    assert job["tags"] == job["request"]["tags"] == [fits.lower()]
    assert len(fits.lower()) == 40
    refused = submit(client, tags=[longer])
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "tags[0]")
    assert client.post(f"/jobs/{job['id']}/name", data={"tags": longer}).status_code == 422
    assert submit(client, tags=[1]).status_code == 422


def test_the_key_of_a_form(client: TestClient) -> None:
    form = {"student": REQUEST["student"], "dataset": REQUEST["dataset"], "teacher": REQUEST["teachers"]}
    assert client.post("/new", data={**form, "key": "k" * 255}).status_code == 303
    refused = client.post("/new", data={**form, "key": "k" * 256})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "key")


@pytest.mark.parametrize("field", ["student", "results[0].teacher"])
def test_an_imported_model_that_is_longer_in_the_catalogues_words(client: TestClient, field: str) -> None:
    longer = "convnext_nano." + "x" * 386
    assert len(longer) == 400
    student, teacher = (longer, None) if field == "student" else (REQUEST["student"], longer)
    asked = {"student": student, "dataset": "digits", "method": "kd", "source": "here",
             "results": [{"teacher": teacher, "test_score": 0.9}]}  # fmt: skip
    refused = client.post("/imported-results", json=asked)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, field)
