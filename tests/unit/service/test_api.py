"""The API from outside: statuses, headers and problem details."""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest
from fastapi.testclient import TestClient

from client.connection import NOT_FOUND
from dpk_core.catalogue import datasets
from service import problems
from service.app import create_app
from service.database.session import transaction
from service.health import service as health
from service.outbox import broker
from service.runs.repository import put_worker
from service.selection_jobs import service as selection_jobs
from service.settings import Settings
from tests.contract import job_driver as drive

REQUEST: dict[str, Any] = {
    "student": "cifar/resnet8w4", "dataset": "digits", "teachers": ["cifar/resnet8w8", "cifar/resnet20"], "seeds": 2,
    "budget": {"epochs": 8, "rungs": [2, 8], "promote": 2},
}  # fmt: skip


@pytest.fixture
def client(embedded: Callable[..., Settings]) -> Iterator[TestClient]:
    """The application over a fresh SQLite database."""
    embedded()
    with TestClient(create_app(), raise_server_exceptions=False) as opened:
        yield opened


def problem(response: Any, status: int) -> dict[str, Any]:
    assert response.status_code == status
    assert response.headers["content-type"] == problems.MEDIA_TYPE
    found: dict[str, Any] = response.json()
    assert found["status"] == status
    assert set(found) == {"type", "title", "status", "detail", "errors"}
    return found


class TestProblems:
    def test_an_unknown_route(self, client: TestClient) -> None:
        assert problem(client.get("/nowhere"), 404)["detail"] == "There is nothing at /nowhere."

    def test_a_wrong_method(self, client: TestClient) -> None:
        response = client.delete("/selection-jobs")
        assert "does not answer DELETE" in problem(response, 405)["detail"]
        assert response.headers["allow"] == "GET, POST"

    @pytest.mark.parametrize("path", ["/", "/healthz", "/selection-jobs", "/nowhere"])
    def test_head_is_get_without_a_body(self, client: TestClient, path: str) -> None:
        asked, looked = client.get(path), client.head(path)
        assert (looked.status_code, looked.content) == (asked.status_code, b"")
        assert looked.headers == asked.headers

    def test_head_of_a_stream_is_refused(self, client: TestClient) -> None:
        job_id = client.post("/selection-jobs", json=REQUEST).json()["id"]
        assert client.head(f"/selection-jobs/{job_id}/events").status_code == 405

    def test_json_that_does_not_say_so(self, client: TestClient) -> None:
        response = client.post("/selection-jobs", content=json.dumps(REQUEST), headers={"Content-Type": "text/plain"})
        (error,) = problem(response, 422)["errors"]
        assert (error["field"], "Content-Type: application/json" in error["message"]) == ("body", True)

    def test_a_database_that_is_away(self, configure: Callable[..., Settings]) -> None:
        configure(database_url="postgresql+psycopg://nobody@127.0.0.1:1/none")
        client = TestClient(create_app(), raise_server_exceptions=False)
        for answer in (client.get("/selection-jobs"), client.post("/selection-jobs", json=REQUEST)):
            assert problem(answer, 503)["errors"][0]["field"] == "database"

    def test_a_body_that_is_no_json(self, client: TestClient) -> None:
        response = client.post("/selection-jobs", content="{", headers={"Content-Type": "application/json"})
        assert problem(response, 422)["errors"][0]["field"] == "body"

    def test_every_wrong_field_is_named(self, client: TestClient) -> None:
        found = problem(client.post("/selection-jobs", json={**REQUEST, "seeds": 0, "teachers": ["a", 2]}), 422)
        assert [error["field"] for error in found["errors"]] == ["teachers[1]", "seeds"]
        assert found["detail"] == "teachers[1]: This must be a model's name or an object. There is 1 more."

    def test_a_defect_is_told_without_its_insides(self, client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(*_arguments: object) -> None:
            raise RuntimeError("secret")

        monkeypatch.setattr(selection_jobs, "tag_of", broken)
        assert "secret" not in str(problem(client.get("/selection-jobs/x"), 500))

    @pytest.mark.parametrize("path", ["", "/leaderboard", "/events", "/report"])
    def test_an_unknown_job(self, client: TestClient, path: str) -> None:
        found = problem(client.get(f"/selection-jobs/nope{path}"), 404)
        assert "'nope'" in found["detail"]
        assert found["type"] == NOT_FOUND, "the client tells it from a wrong address by this"


class TestSubmit:
    def test_accepted_with_its_address_and_sent(self, client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
        sent: list[tuple[str, str]] = []
        monkeypatch.setattr(broker.producer(), "send_task", lambda task, args, **_: sent.append((task, args[0])))
        response = client.post("/selection-jobs", json=REQUEST)
        assert response.status_code == 202
        assert response.headers["location"] == f"/selection-jobs/{response.json()['id']}"
        assert client.get(response.headers["location"]).json()["state"] == "queued"
        assert sent == [("advance_job", response.json()["id"])]

    def test_a_broker_that_is_down_fails_nothing(self, client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
        def down(*_arguments: object, **_options: object) -> None:
            raise OSError("down")

        monkeypatch.setattr(broker.producer(), "send_task", down)
        assert client.post("/selection-jobs", json=REQUEST).status_code == 202

    def test_a_repeated_key(self, client: TestClient) -> None:
        first, again = (
            client.post("/selection-jobs", json=REQUEST, headers={"Idempotency-Key": "build-1"}) for _ in range(2)
        )
        assert again.status_code == 202
        assert again.headers["location"] == first.headers["location"]
        other = client.post("/selection-jobs", json={**REQUEST, "seeds": 3}, headers={"Idempotency-Key": "build-1"})
        assert problem(other, 422)["errors"][0]["field"] == "Idempotency-Key"

    def test_a_repeated_key_on_other_data_says_so(self, client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
        headers = {"Idempotency-Key": "branch-main"}
        first = client.post("/selection-jobs", json=REQUEST, headers=headers).json()
        changed = dataclasses.replace(datasets.DIGITS, fingerprint="sha256:other")
        monkeypatch.setattr(datasets, "DIGITS", changed)
        second, third = (client.post("/selection-jobs", json=REQUEST, headers=headers).json() for _ in range(2))
        assert second["notices"][0]["message"] == (
            f"The data set digits has changed since the job was made. The key stood for job {first['id']}; this is a "
            "new job, on what is there now."
        )
        assert first["notices"] == third["notices"] == []
        assert first["id"] != second["id"] == third["id"]

    def test_a_key_that_is_too_long(self, client: TestClient) -> None:
        response = client.post("/selection-jobs", json=REQUEST, headers={"Idempotency-Key": "k" * 256})
        assert problem(response, 422)["errors"][0]["field"] == "Idempotency-Key"

    def test_preflight_names_the_nearest_choice(self, client: TestClient) -> None:
        found = problem(client.post("/selection-jobs", json={**REQUEST, "dataset": "digit"}), 422)
        assert found["errors"] == [
            {
                "field": "dataset",
                "message": "There is no data set 'digit': DPK_DATA_ROOT is not set on the server, so only digits is "
                "there.",
                "nearest": "digits",
            }
        ]
        assert client.get("/selection-jobs").json() == {"jobs": [], "next_before": None}

    def test_a_name_that_is_no_text_is_refused(self, client: TestClient) -> None:
        body = json.dumps({**REQUEST, "dataset": "folder/caf\udce9"})
        answer = client.post("/selection-jobs", content=body, headers={"Content-Type": "application/json"})
        assert problem(answer, 422)["errors"][0]["field"] == "dataset"


class TestRead:
    def test_pages(self, client: TestClient) -> None:
        ids = [client.post("/selection-jobs", json=REQUEST).json()["id"] for _ in range(3)]
        first = client.get("/selection-jobs", params={"limit": 2}).json()
        second = client.get("/selection-jobs", params={"limit": 2, "before": first["next_before"]}).json()
        assert [job["id"] for job in first["jobs"] + second["jobs"]] == ids[::-1]
        found = problem(client.get("/selection-jobs", params={"before": "nope"}), 422)
        assert found["errors"][0]["field"] == "before"

    def test_a_job_that_nobody_works_at_says_what_is_missing(
        self, client: TestClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = client.post("/selection-jobs", json=REQUEST).headers["location"]
        assert client.get(path).json()["waiting_for"] is None, "workers may be starting"
        monkeypatch.setattr(health, "is_new", lambda _created_at: False)
        for queues, slots, missing in (("", 0, "control"), ("control", 0, "training"), ("control,runs", 2, None)):
            with transaction() as session:
                put_worker(session, "w", queues=queues, slots=slots, device=None)
            sentence = client.get(path).json()["waiting_for"]
            assert sentence is None if missing is None else sentence.startswith(f"No {missing} worker is there")
            for page in ("/", f"/jobs/{path.rpartition('/')[2]}"):
                assert sentence is None or sentence in client.get(page).text
        for other, sentence in (("The disk is full.", "The disk is full."), (None, None)):
            with transaction() as session:
                put_worker(session, "w", queues="control,runs", slots=2, device=None, trouble="The disk is full.")
                put_worker(session, "x", queues="runs", slots=1, device=None, trouble=other)
            assert client.get(path).json()["waiting_for"] == sentence

    def test_a_leaderboard_before_anything_ran(self, client: TestClient) -> None:
        job_id = client.post("/selection-jobs", json=REQUEST).json()["id"]
        board = client.get(f"/selection-jobs/{job_id}/leaderboard").json()
        assert [row["label"] for row in board["rows"]] == ["resnet8w8", "resnet20", "no teacher"]
        assert {row["status"] for row in board["rows"]} == {"waiting"}
        assert (board["verdict"], board["curves"], board["ledger"]["spent"]) == (None, [], 0.0)

    def test_cancel_is_accepted_twice_and_refused_at_the_end(self, client: TestClient) -> None:
        job_id = client.post("/selection-jobs", json=REQUEST).json()["id"]
        assert [client.post(f"/selection-jobs/{job_id}/cancel").status_code for _ in range(2)] == [202, 202]
        finished = client.post("/selection-jobs", json=REQUEST).json()["id"]
        drive.run_to_end(finished)
        assert "finished" in problem(client.post(f"/selection-jobs/{finished}/cancel"), 409)["detail"]
        assert problem(client.post("/selection-jobs/nope/cancel"), 404)


class TestBestTeacher:
    QUESTION: ClassVar = {"student": "cifar/resnet8w4", "dataset": "digits"}

    def test_nothing_known_says_how_to_ask(self, client: TestClient) -> None:
        found = problem(client.get("/best-teacher", params=self.QUESTION), 404)
        assert found["type"].endswith(":not-found")
        assert "cifar/resnet8w4" in found["detail"]
        assert "POST /selection-jobs" in found["detail"]

    def test_a_job_under_way_is_named(self, client: TestClient) -> None:
        job_id = client.post("/selection-jobs", json=REQUEST).json()["id"]
        found = problem(client.get("/best-teacher", params=self.QUESTION), 404)
        assert found["type"].endswith(":running")
        assert f"job {job_id} is queued" in found["detail"]

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"student": "cifar/resnet8w"}, "student"),
            ({"dataset": "digit"}, "dataset"),
            ({"method": "fitnt"}, "method"),
        ],
    )
    def test_unknown_names(self, client: TestClient, change: dict[str, str], field: str) -> None:
        found = problem(client.get("/best-teacher", params=self.QUESTION | change), 422)
        assert found["errors"][0]["field"] == field
        assert found["errors"][0]["nearest"] is not None

    def test_a_finished_job_answers(self, client: TestClient) -> None:
        job_id = client.post("/selection-jobs", json=REQUEST).json()["id"]
        drive.run_to_end(job_id)
        answer = client.get("/best-teacher", params=self.QUESTION).json()
        assert (answer["job"], answer["teacher"], answer["verdict"]) == (job_id, "cifar/resnet20", "best")
        assert answer["gain"]["value"] == pytest.approx(0.08, abs=0.01)
        assert answer["page"] == f"/jobs/{job_id}"
        assert client.get("/best-teacher", params=self.QUESTION | {"method": "kd"}).status_code == 404
        same = client.get("/best-teacher", params=self.QUESTION | {"stamp": answer["stamp"]}).json()
        assert {**same, "age_seconds": answer["age_seconds"]} == answer
        problem(client.get("/best-teacher", params=self.QUESTION | {"stamp": "0badcafe"}), 404)
        found = problem(client.get("/best-teacher", params=self.QUESTION | {"stamp": "a stamp"}), 422)
        assert found["errors"][0]["field"] == "stamp"


class TestParameters:
    def test_unknown_ones_are_refused_everywhere_but_by_health(self, client: TestClient) -> None:
        """A typo must not look like an answer to the question."""
        known = {"student": "cifar/resnet8w4", "dataset": "digits"}
        for path, methods in client.get("/openapi.json").json()["paths"].items():
            for method, operation in methods.items():
                if operation["tags"] == ["health"]:
                    continue
                names = {each["name"] for each in operation.get("parameters", []) if each["in"] == "query"}
                params = {name: value for name, value in known.items() if name in names} | {"limt": "1"}
                address = path.format_map(defaultdict(lambda: "nope", name="digits"))
                found = problem(client.request(method, address, params=params), 422)
                assert "limt" in {error["field"] for error in found["errors"]}, (method, path)

    def test_an_unknown_one_is_offered_the_nearest(self, client: TestClient) -> None:
        question = {"studnt": "cifar/resnet8w4", "dataset": "digits"}
        found = problem(client.get("/best-teacher", params=question), 422)
        assert {error["field"]: error["nearest"] for error in found["errors"]} == {"student": None, "studnt": "student"}
        (error,) = problem(client.get("/selection-jobs?offset=3"), 422)["errors"]
        assert error["nearest"] is None

    @pytest.mark.parametrize(
        "address",
        ["/selection-jobs?limit=3&limit=5", "/models?limit=3&search=a&limit=3", "/?state=failed&state=failed"],
    )
    def test_one_that_is_given_twice_is_refused(self, client: TestClient, address: str) -> None:
        (error,) = problem(client.get(address), 422)["errors"]
        assert error == {
            "field": address.partition("?")[2][:5],
            "message": "This may be given once only.",
            "nearest": None,
        }

    def test_a_list_may_be_given_in_parts(self, client: TestClient) -> None:
        assert client.get("/new?teacher=cifar/resnet20&teacher=cifar/resnet14").status_code == 200


class TestCalibration:
    def test_an_empty_store_has_no_record(self, client: TestClient) -> None:
        answer = client.get("/calibration").json()
        assert (answer["jobs"], answer["held"], answer["bins"]) == (0, None, [])
        assert "Not measurable yet" in client.get("/record").text

    def test_unknown_names(self, client: TestClient) -> None:
        for change in ({"dataset": "x"}, {"method": "x"}):
            found = problem(client.get("/calibration", params=change), 422)
            assert found["errors"][0]["field"] == next(iter(change))


class TestHealth:
    def test_alive_whatever_else(self, client: TestClient) -> None:
        assert client.get("/healthz").json() == {"status": "alive"}

    def test_ready(self, client: TestClient) -> None:
        assert client.get("/readyz").json() == {
            "status": "ready", "parts": ["database", "schema", "broker"], "alarms": [],
        }  # fmt: skip

    def test_work_without_a_worker_is_an_alarm(self, client: TestClient) -> None:
        drive.advance(client.post("/selection-jobs", json=REQUEST).json()["id"])
        (alarm,) = client.get("/readyz").json()["alarms"]
        assert alarm.startswith("2 runs are queued, and no training worker was heard of")

    def test_a_database_without_tables(self, configure: Callable[..., Settings]) -> None:
        configure()
        found = problem(TestClient(create_app()).get("/readyz"), 503)
        assert found["errors"][0]["field"] == "schema"
        assert "dpk migrate" in found["detail"]

    def test_a_database_that_is_away(self, configure: Callable[..., Settings]) -> None:
        configure(database_url="postgresql+psycopg://nobody@127.0.0.1:1/none")
        found = problem(TestClient(create_app()).get("/readyz"), 503)
        assert found["errors"][0]["field"] == "database"

    def test_a_broker_that_is_away(self, embedded: Callable[..., Settings]) -> None:
        embedded(broker_url="redis://127.0.0.1:1/0")
        found = problem(TestClient(create_app()).get("/readyz"), 503)
        assert [error["field"] for error in found["errors"]] == ["broker"]
