"""What people do on the pages, as plain forms post it."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from tests.contract import job_driver as drive

REQUEST = {"student": "cifar/resnet8w4", "dataset": "digits", "teachers": ["cifar/resnet8w8", "cifar/resnet20"]}
ASKED = {"student": "cifar/resnet8w4", "dataset": "digits", "teacher": ["cifar/resnet8w8", "", "cifar/resnet20"]}


@pytest.fixture
def client(embedded: Callable[..., Settings]) -> TestClient:
    """A browser without scripts, on an empty store."""
    embedded()
    return TestClient(create_app(), follow_redirects=False, headers={"Origin": "http://testserver"})


@pytest.fixture
def job_id(client: TestClient) -> str:
    """A job that was just asked for."""
    return str(client.post("/selection-jobs", json=REQUEST).json()["id"])


def post(client: TestClient, path: str, **fields: Any) -> httpx.Response:
    return client.post(path, data=fields)


@pytest.mark.parametrize("body", [b"name=a%00b", b"na%00me=a", b"name=fine&tags=a,b%00"])
def test_what_no_database_takes_stops_before_it(client: TestClient, job_id: str, body: bytes) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert client.post(f"/jobs/{job_id}/name", content=body, headers=headers).status_code == 422
    assert client.get(f"/selection-jobs/{job_id}").json()["name"] is None


class TestAsk:
    def test_a_form_becomes_a_job_once(self, client: TestClient) -> None:
        form = {**ASKED, "method": "kd", "seeds": "2", "epochs": "4", "name": "Mine", "tags": "a, b", "key": "k1"}
        answer = post(client, "/new", **form)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/jobs/")
        assert post(client, "/new", **form).headers["location"] == answer.headers["location"]
        (job,) = client.get("/selection-jobs").json()["jobs"]
        assert job["request"]["teachers"] == REQUEST["teachers"]
        assert (job["request"]["method"], job["request"]["seeds"], job["name"], job["tags"]) == (
            "kd", 2, "Mine", ["a", "b"],
        )  # fmt: skip
        assert job["request"]["budget"]["epochs"] == 4
        other = post(client, "/new", **{**form, "seeds": "3"})
        assert other.status_code == 422
        assert "submit again for a new job" in other.text
        assert 'value="k1"' not in other.text

    def test_an_example_is_offered_to_whoever_comes_first(self, client: TestClient) -> None:
        for path in ("/", "/new"):
            (example,) = re.findall(r'href="(/new[?][^"]+)"', client.get(path).text)
            page = client.get(html.unescape(example)).text
            assert page.count('value="cifar/resnet') == 4
            assert "<option selected>digits</option>" in page
            assert "Fill in an example" not in page

    def test_what_is_wrong_stands_beside_its_field(self, client: TestClient) -> None:
        form = {**ASKED, "teacher": ["", "cifar/resnet8w8", "cifar/resnet21"], "seeds": "many", "chance": "2"}
        answer = post(client, "/new", **form)
        assert answer.status_code == 422
        assert 'id="problem-seeds">This must be a whole number.' in answer.text
        assert 'id="problem-chance">This must be at most 1.' in answer.text
        again = post(client, "/new", **{**form, "seeds": "2", "chance": ""})
        assert "The nearest is cifar/resnet32" in again.text.partition('id="problem-teacher-1">')[2][:200]
        assert 'value="cifar/resnet21"' in again.text, "what was typed stays"
        assert client.get("/selection-jobs").json()["jobs"] == []

    def test_check_says_what_it_would_come_to_and_makes_nothing(self, client: TestClient) -> None:
        answer = post(client, "/new", **{**ASKED, "seeds": "1"}, check="1")
        assert "the verdict will be undecided; ask for 2 seeds or more." in answer.text
        assert answer.status_code == 200
        assert "it can run" in answer.text
        assert "16×2² ← 64×2²" in answer.text
        assert "its time is not known" in answer.text
        assert client.get("/selection-jobs").json()["jobs"] == []

    def test_same_with_another_teacher_keeps_what_the_form_does_not_show(self, client: TestClient) -> None:
        asked = {
            **REQUEST, "method": {"name": "dpk", "feature_weight": 3.0}, "tags": ["nightly"],
            "teachers": [{"model": "cifar/resnet8w8", "epochs": 3}], "budget": {"audit": 0.5, "epochs": 6},
        }  # fmt: skip
        first = client.post("/selection-jobs", json=asked).json()["id"]
        page = client.get(f"/new?like={first}").text
        assert "method.feature_weight" in page
        assert 'value="nightly"' in page
        teachers = ["cifar/resnet8w8", "cifar/resnet20"]
        form = {**ASKED, "method": "dpk", "like": first, "teacher": teachers, "epochs": "6", "tags": "nightly"}
        answer = post(client, "/new", **form)
        made = client.get(f"/selection-jobs/{answer.headers['location'].rpartition('/')[2]}/request").json()
        assert made["method"]["feature_weight"] == 3.0
        assert made["budget"]["audit"] == 0.5
        assert made["teachers"][0]["epochs"] == 3
        assert made["teachers"][1] == "cifar/resnet20"
        assert client.get("/new?like=nothing").status_code == 404

    def test_an_address_fills_the_form(self, client: TestClient) -> None:
        page = client.get("/new?student=cifar/resnet8&dataset=digits&teacher=cifar/resnet20").text
        assert 'value="cifar/resnet8"' in page
        assert 'value="cifar/resnet20"' in page
        assert "<option selected>digits</option>" in page


class TestButtons:
    def test_pause_resume_and_cancel_lead_back_to_the_job(self, client: TestClient, job_id: str) -> None:
        for what, state in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
            answer = post(client, f"/jobs/{job_id}/{what}")
            assert (answer.status_code, answer.headers["location"]) == (303, f"/jobs/{job_id}")
            assert client.get(f"/selection-jobs/{job_id}").json()["state"] == state

    def test_what_the_state_does_not_allow_is_a_page_that_says_so(self, client: TestClient, job_id: str) -> None:
        post(client, f"/jobs/{job_id}/cancel")
        for what in ("pause", "resume", "retry"):
            answer = post(client, f"/jobs/{job_id}/{what}")
            assert answer.status_code == 409
            assert "This cannot be done now" in answer.text
            assert "The job was cancelled" in answer.text
        assert post(client, "/jobs/nothing/pause").status_code == 404
        assert client.get(f"/jobs/{job_id}/student").status_code == 409

    def test_of_an_undecided_job_the_student_can_be_chosen(self, client: TestClient) -> None:
        job_id = drive.submit(drive.request("cifar/resnet20", seeds=1, promote=1, epochs=2, rungs=(1, 2)))
        drive.run_to_end(job_id)
        page = client.get(f"/jobs/{job_id}/student")
        assert (page.status_code, "The job is undecided" in page.text) == (200, True)
        for name, of in (("cifar/resnet20", "taught by resnet20"), ("none", "trained without a teacher")):
            assert f'href="/jobs/{job_id}/student?teacher={name}">{of}' in page.text
            chosen = client.get(f"/jobs/{job_id}/student?teacher={name}").text
            assert f"--to my-student --teacher {name}" in chosen

    def test_the_page_has_the_buttons_that_the_state_allows(self, client: TestClient, job_id: str) -> None:
        page = client.get(f"/jobs/{job_id}").text
        assert f'action="/jobs/{job_id}/pause"' in page
        assert f'action="/jobs/{job_id}/resume"' not in page
        post(client, f"/jobs/{job_id}/pause")
        page = client.get(f"/jobs/{job_id}").text
        assert f'action="/jobs/{job_id}/resume"' in page
        assert f'action="/jobs/{job_id}/pause"' not in page
        assert "<form" not in client.get(f"/selection-jobs/{job_id}/report").text

    @pytest.mark.parametrize(
        "headers",
        [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}],
    )
    def test_a_page_of_another_server_presses_nothing(
        self, client: TestClient, job_id: str, headers: dict[str, str]
    ) -> None:
        client.headers.pop("Origin")
        for path in (f"/jobs/{job_id}/cancel", f"/jobs/{job_id}/teachers", f"/jobs/{job_id}/name", "/new"):
            assert client.post(path, data=ASKED, headers=headers).status_code == 403
        assert client.get(f"/selection-jobs/{job_id}").json()["state"] == "queued"

    def test_pages_may_send_forms_to_this_server_alone(self, client: TestClient, job_id: str) -> None:
        assert "form-action 'self'" in client.get(f"/jobs/{job_id}").headers["content-security-policy"]
        report = client.get(f"/selection-jobs/{job_id}/report").headers["content-security-policy"]
        assert "form-action 'none'" in report


class TestAddTeacher:
    def test_it_joins_or_is_explained(self, client: TestClient, job_id: str) -> None:
        assert "Add a teacher" in client.get(f"/jobs/{job_id}/teachers").text
        wrong = post(client, f"/jobs/{job_id}/teachers", teacher="cifar/resnet21")
        assert wrong.status_code == 422
        assert 'value="cifar/resnet21"' in wrong.text
        assert "The nearest is cifar/resnet32" in wrong.text
        assert post(client, f"/jobs/{job_id}/teachers", teacher="cifar/resnet32").status_code == 303
        request = client.get(f"/selection-jobs/{job_id}/request").json()
        assert request["teachers"] == [*REQUEST["teachers"], "cifar/resnet32"]
        post(client, f"/jobs/{job_id}/cancel")
        assert post(client, f"/jobs/{job_id}/teachers", teacher="cifar/resnet14").status_code == 409


class TestName:
    def test_name_and_tags(self, client: TestClient, job_id: str) -> None:
        assert post(client, f"/jobs/{job_id}/name", name="Release", tags="a b").status_code == 303
        page = client.get(f"/jobs/{job_id}/name").text
        assert 'value="Release"' in page
        assert 'value="a b"' in page
        wrong = post(client, f"/jobs/{job_id}/name", name="x" * 101, tags="<b>")
        assert wrong.status_code == 422
        assert 'id="problem-name">This must have at most 100 characters.' in wrong.text
        assert "&lt;b&gt;" in wrong.text
        found = client.get("/?search=release&tag=a").text
        assert "Release" in found
        assert f'href="/jobs/{job_id}"' in found


class TestPages:
    def test_models_are_searched_and_shown(self, client: TestClient, job_id: str) -> None:
        assert 'href="/model/cifar/resnet20"' in client.get("/model?search=cifar+resnet20").text
        page = client.get("/model/cifar/resnet20").text
        assert "stages.2" in page
        assert f'href="/jobs/{job_id}"' in page
        assert client.get("/model/cifar/resnet21").status_code == 404

    def test_two_jobs_side_by_side(self, client: TestClient, job_id: str) -> None:
        other = client.post("/selection-jobs", json={**REQUEST, "teachers": ["cifar/resnet32"], "seeds": 2}).json()[
            "id"
        ]
        page = client.get(f"/compare?job={job_id}&job={other}").text
        assert "<code>seeds</code>" in page
        assert "<code>dataset</code>" not in page
        assert "resnet32" in page
        assert "Second job" in client.get(f"/compare?job={job_id}").text
        assert client.get("/compare?job=nothing").status_code == 404

    def test_a_data_set_leads_to_a_question_about_it(self, client: TestClient) -> None:
        assert 'href="/new?dataset=digits"' in client.get("/data/digits").text
