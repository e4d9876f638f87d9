"""The pages over HTTP, on a real database."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.leaderboards import service
from service.settings import Settings
from service.web import pages
from tests.unit.web import sample

REQUEST = {"student": "cifar/resnet8w4", "dataset": "digits", "teachers": ["cifar/resnet8w8", "cifar/resnet20"]}


@pytest.fixture
def client(embedded: Callable[..., Settings]) -> TestClient:
    """The application on an empty embedded store."""
    embedded()
    return TestClient(create_app())


@pytest.fixture
def job_id(client: TestClient) -> str:
    """A job that was just asked for."""
    return str(client.post("/selection-jobs", json=REQUEST).json()["id"])


class TestJobs:
    def test_an_empty_store_says_what_to_type(self, client: TestClient) -> None:
        answer = client.get("/")
        assert answer.status_code == 200
        assert "No selection job yet" in answer.text
        assert "http://testserver/selection-jobs" in answer.text

    def test_an_address_of_any_length_is_no_filter(self, client: TestClient) -> None:
        assert client.get("/", params={"state": "running"}).status_code == 200
        assert client.get("/", params={"state": "r" * 17}).status_code == 422

    def test_a_job_is_listed(self, client: TestClient, job_id: str) -> None:
        assert f'href="/jobs/{job_id}"' in client.get("/").text


class TestJob:
    def test_a_new_job_has_a_page_a_live_part_and_a_report(self, client: TestClient, job_id: str) -> None:
        for path in (f"/jobs/{job_id}", f"/jobs/{job_id}/live", f"/selection-jobs/{job_id}/report"):
            answer = client.get(path)
            assert answer.status_code == 200
            assert answer.headers["content-type"] == "text/html; charset=utf-8"
            assert "resnet20" in answer.text

    def test_the_live_part_is_the_part_of_the_page(self, client: TestClient, job_id: str) -> None:
        assert client.get(f"/jobs/{job_id}/live").text.strip() in client.get(f"/jobs/{job_id}").text

    def test_an_unknown_job_is_a_page_that_says_so(self, client: TestClient) -> None:
        answer = client.get("/jobs/nothing")
        assert answer.status_code == 404
        assert answer.headers["content-type"].startswith("text/html")
        assert "There is no selection job" in answer.text


class TestPolicy:
    def test_pages_allow_nothing_inline_and_nothing_foreign(self, client: TestClient, job_id: str) -> None:
        policy = client.get(f"/jobs/{job_id}").headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'")
        assert "unsafe" not in policy
        assert "http" not in policy

    def test_the_report_allows_its_own_style_only(self, client: TestClient, job_id: str) -> None:
        policy = client.get(f"/selection-jobs/{job_id}/report").headers["content-security-policy"]
        assert policy == pages.report_policy()
        assert "script" not in policy
        assert "style-src 'sha256-" in policy


class TestStatic:
    def test_files_that_pages_name_are_there(self, client: TestClient) -> None:
        style, script = client.get("/static/style.css"), client.get("/static/live.js")
        assert style.headers["content-type"].startswith("text/css")
        assert script.headers["content-type"].startswith("text/javascript")
        assert "immutable" in style.headers["cache-control"]

    @pytest.mark.parametrize("name", ["nothing.css", "..%2fpages.py"])
    def test_nothing_else_is(self, client: TestClient, name: str) -> None:
        assert client.get(f"/static/{name}").status_code == 404


def test_the_page_shows_what_the_service_says(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    board = sample.leaderboard("finished")
    made = service.Made('"tag"', board.model_dump_json().encode(), board.job.revision)
    monkeypatch.setattr(service, "made", lambda _job_id: made)
    assert "Take resnet20;" in client.get(f"/jobs/{sample.JOB_ID}").text
