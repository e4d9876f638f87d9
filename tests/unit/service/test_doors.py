"""Requests that no honest client sends: each is refused as a small problem document, and none reaches the database."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import pytest
from fastapi.testclient import TestClient
from pydantic import BaseModel

from service import problems
from service.app import create_app
from service.best_teacher.schemas import BestTeacherRequest
from service.doors import bodies, documents, texts
from service.imported_results.schemas import ImportRequest
from service.settings import Settings
from service.wire import choices
from service.wire.jobs import SelectionJobRequest, TeacherRequest
from tests.contract import job_driver as drive

JSON = {"Content-Type": "application/json"}
REQUEST: dict[str, Any] = {
    "student": "cifar/resnet8w4", "dataset": "digits", "teachers": ["cifar/resnet20"],
    "budget": {"epochs": 2, "promote": 1},
}  # fmt: skip
SMALL = 8_000
"""Bytes of the longest answer to any of these."""


@pytest.fixture
def client(embedded: Callable[..., Settings]) -> Iterator[TestClient]:
    embedded()
    with TestClient(create_app()) as opened:  # a defect raises here
        yield opened


def refused(response: Any, status: int, name: str = "") -> dict[str, Any]:
    assert response.status_code == status, (name, response.text[:500])
    assert response.headers["content-type"] == problems.MEDIA_TYPE
    assert response.headers["x-content-type-options"] == "nosniff"
    assert len(response.content) < SMALL, name
    found: dict[str, Any] = response.json()
    return found


def changed(**change: Any) -> bytes:
    return json.dumps({**REQUEST, **change}).encode()


def budget(**change: Any) -> bytes:
    return changed(budget={**REQUEST["budget"], **change})


def teacher(**change: Any) -> bytes:
    return changed(teachers=[{"model": "cifar/resnet20", "weights": "file:t.safetensors", **change}])


IMPORT: dict[str, Any] = {
    "student": "cifar/resnet8w4", "dataset": "digits", "method": "kd", "source": "here",
    "results": [{"test_score": 0.9}],
}  # fmt: skip


def imported(*results: dict[str, Any]) -> bytes:
    return json.dumps({**IMPORT, "results": results}).encode()


HOSTILE_BODIES: dict[str, tuple[bytes, int]] = {
    "unknown keys without end": (json.dumps({f"k{n}": 0 for n in range(100_000)}).encode(), 413),
    "as many unknown keys as fit": (json.dumps({f"k{n}": 0 for n in range(16_000)}).encode(), 422),
    "as many wrong values as are read": (changed(teachers=[{}] * (documents.MOST_VALUES - 10)), 422),
    "as many commas as fit": (b"[" + b"0," * 131_000 + b"0]", 422),
    "many values of few commas": (b"[" + b"[[[]]]," * 30_000 + b"0]", 422),
    "a long name": (changed(**{"k" * 200_000: 0}), 422),
    "a long value": (changed(method="m" * 200_000), 422),
    "a long student": (changed(student="s" * 200_000), 422),
    "a long class map": (teacher(class_map=[0] * (choices.MOST_CLASSES + 1)), 422),
    "a class map of words": (teacher(class_map=["a"] * 40_000), 422),
    "long list": (changed(teachers=["t"] * 900), 422),
    "one level too deep for us": (b"[" * 17 + b"]" * 17, 422),
    "too deep for the parser": (b"[" * 100_000 + b"]" * 100_000, 422),
    "too deep and cut off": (b'{"a":' * 40_000, 422),
    "a whole number of many digits": (b'{"seeds": ' + b"9" * 200_000 + b"}", 422),
    "a number of forty digits": (b'{"seeds": ' + b"9" * 40 + b"}", 422),
    "a fraction beyond all floats": (budget(chance=0.5).replace(b"0.5", b"1e999999"), 422),
    "NaN": (budget(margin=float("nan")), 422),
    "minus infinity": (budget(seconds=float("-inf")), 422),
    "NUL in a value": (changed(dataset="dig\0its"), 422),
    "NUL in a name": (changed(**{"a\0b": 1}), 422),
    "half of a pair": (changed(student="\ud800"), 422),
    "half of a pair in a name": (changed(**{"\udfff": 1}), 422),
    "half of a pair deep inside": (changed(teachers=[{"model": "cifar/resnet20", "weights": "file:\udc00"}]), 422),
    "not UTF-8": (b'{"student": "\xff"}', 422),
    "UTF-16": (json.dumps(REQUEST).encode("utf-16"), 422),
    "no JSON": (b"{", 422),
    "more classes than there are numbers for": (changed(classes=10**39), 422),
    "a lone value": (b"7", 422),
    "null": (b"null", 422),
}


def test_hostile_bodies(client: TestClient) -> None:
    for name, (body, status) in HOSTILE_BODIES.items():
        found = refused(client.post("/selection-jobs", content=body, headers=JSON), status, name)
        assert len(found["errors"]) <= problems.MOST_ERRORS
    assert client.get("/selection-jobs").json()["jobs"] == []


@pytest.mark.parametrize(
    "body",
    [
        budget(seconds=1e308), budget(wall_seconds=1e308), budget(seconds=5e-324), budget(wall_seconds=5e-324),
        budget(margin=5e-324),
    ],
)  # fmt: skip
def test_numbers_at_the_edge_are_fine(client: TestClient, body: bytes) -> None:
    response = client.post("/selection-jobs", content=body, headers=JSON)
    assert response.status_code == 202
    drive.advance(response.json()["id"])
    for address in (response.headers["location"], response.json()["links"]["leaderboard"]):
        assert client.get(address).status_code == 200


HOSTILE_IMPORTS: dict[str, tuple[bytes, str]] = {
    "a seed beyond all integers": (imported({"test_score": 0.9, "seed": 2**64}), "results[0].seed"),
    "a seed beyond Postgres": (imported({"test_score": 0.9, "seed": 2**31}), "results[0].seed"),
    "epochs beyond Postgres": (imported({"test_score": 0.9, "epochs": 2**31}), "results[0].epochs"),
    "a setting beyond all floats": (
        json.dumps({**IMPORT, "settings": {"a": [0.5]}}).encode().replace(b"0.5", b"1e999"),
        "settings.a[0]: This must be a finite number.",
    ),
    "many errors in each result": (
        imported(*[{f"k{n}": 0 for n in range(20)}] * 1_000), "There are 19 more.",
    ),
}  # fmt: skip


def test_hostile_imports(client: TestClient) -> None:
    for name, (body, sentence) in HOSTILE_IMPORTS.items():
        found = refused(client.post("/imported-results", content=body, headers=JSON), 422, name)
        assert sentence in found["detail"]


class TestWhatIsDocumentedIsTaken:
    @pytest.mark.parametrize("model", [SelectionJobRequest, BestTeacherRequest, ImportRequest, TeacherRequest])
    def test_no_list_may_be_longer_than_a_body(self, model: type[BaseModel]) -> None:
        schema = json.dumps(model.model_json_schema())
        longest = [int(each) for each in re.findall(r'"maxItems": (\d+)', schema)]
        assert max(longest) < documents.MOST_VALUES

    @pytest.mark.parametrize("first", [0, 60_000])
    def test_the_longest_class_map(self, first: int) -> None:
        order = list(range(first, first + choices.MOST_CLASSES))
        body = teacher(class_map=order).replace(b", ", b",")
        assert len(body) < bodies.LARGEST_BODY
        documents.check_document(body)
        (read,) = SelectionJobRequest.model_validate_json(body).teachers
        assert read.class_map == tuple(order)

    def test_as_many_results_as_may_be(self, client: TestClient) -> None:
        whole = {"teacher": "cifar/resnet20", "epochs": 240, "validation_score": 0.9, "test_score": 0.8}
        body = imported(*({**whole, "seed": seed} for seed in range(1_000)))
        assert client.post("/imported-results", content=body, headers=JSON).json()["added"] == 1_000


def test_what_is_left_out_of_the_list_is_counted(client: TestClient) -> None:
    found = refused(client.post("/selection-jobs", json={**REQUEST, **{f"k{n}": 0 for n in range(100)}}), 422)
    assert found["detail"] == "k0: There is no such field. There are 99 more."
    assert len(found["errors"]) == problems.MOST_ERRORS


def test_a_number_is_named_even_where_it_is_no_json(client: TestClient) -> None:
    found = refused(client.post("/selection-jobs", content=b'{"seeds": NaN}', headers=JSON), 422)
    assert found["detail"] == "body: The body is not JSON: NaN is no number there."


def test_a_byte_order_mark_is_harmless(client: TestClient) -> None:
    body = json.dumps(REQUEST).encode("utf-8-sig")
    assert client.post("/selection-jobs", content=body, headers=JSON).status_code == 202


HOSTILE_ADDRESSES: dict[str, tuple[str, int]] = {
    "NUL in a query": ("/best-teacher?student=a%00b&dataset=digits", 422),
    "NUL in a parameter's name": ("/best-teacher?a%00b=1", 422),
    "NUL in a filter": ("/calibration?dataset=%00", 422),
    "NUL in the list's place": ("/?before=%00", 422),
    "NUL in an id": ("/selection-jobs/a%00b", 422),
    "NUL in a page's id": ("/jobs/a%00b", 422),
    "NUL in a file's name": ("/static/a%00b", 422),
    "half of a pair": ("/selection-jobs/%ED%A0%80", 404),
    "half of a pair in a query": ("/best-teacher?student=%ED%A0%80&dataset=digits", 422),
    "a long path": ("/" + "a" * texts.LONGEST_TARGET, 414),
    "a long query": ("/best-teacher?student=" + "a" * texts.LONGEST_TARGET, 414),
    "a path as long as may be": ("/jobs/" + "a" * (texts.LONGEST_TARGET - 6) + "/live", 414),
    "many parameters": ("/best-teacher?" + "&".join("a=1" for _ in range(texts.MOST_PARAMETERS + 1)), 422),
    "a number of many digits": ("/selection-jobs?limit=" + "9" * 5_000, 422),
    "an event of many digits": ("/selection-jobs/a/events?after=" + "9" * 5_000, 422),
    "a path that climbs": ("/static/..%2f..%2fsettings.py", 404),
}


def test_hostile_addresses(client: TestClient) -> None:
    for name, (address, status) in HOSTILE_ADDRESSES.items():
        refused(client.get(address), status, name)


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("Idempotency-Key", b"a\0b", "idempotency-key"), ("Idempotency-Key", b"k" * 20_000, "Idempotency-Key"),
        ("Content-Type", b"application/json; a=\0", "content-type"),
    ],
)  # fmt: skip
def test_hostile_headers(client: TestClient, name: str, value: bytes, field: str) -> None:
    headers = [(name.encode(), value)] + ([] if name in JSON else [(b"Content-Type", b"application/json")])
    found = refused(client.post("/selection-jobs", content=json.dumps(REQUEST).encode(), headers=headers), 422)
    assert found["errors"][0]["field"] == field


def test_an_event_number_of_many_digits(client: TestClient) -> None:
    refused(client.get("/selection-jobs/a/events", headers={"Last-Event-ID": "9" * 5_000}), 422)


class TestSize:
    def test_an_announced_body_is_refused_unread(self, client: TestClient) -> None:
        def never() -> Iterator[bytes]:
            raise AssertionError("the body was read")
            yield b""

        headers = {**JSON, "Content-Length": str(200_000_000)}
        refused(client.post("/selection-jobs", content=never(), headers=headers), 413)

    def test_a_body_without_length_is_counted_while_it_arrives(self) -> None:
        read = 0

        async def receive() -> dict[str, Any]:
            nonlocal read
            read += 1
            return {"type": "http.request", "body": b" " * 65_536, "more_body": True}

        answer = call("POST", "/selection-jobs", [(b"host", b"localhost")], receive)
        assert answer[0]["status"] == 413
        assert read == bodies.LARGEST_BODY // 65_536 + 1

    def test_a_client_that_leaves_is_no_error(self) -> None:
        async def receive() -> dict[str, Any]:
            return {"type": "http.disconnect"}

        assert call("POST", "/selection-jobs", [(b"host", b"localhost")], receive) == []

    def test_the_largest_body_is_read(self, client: TestClient) -> None:
        body = json.dumps(REQUEST).encode().ljust(bodies.LARGEST_BODY)
        assert client.post("/selection-jobs", content=body, headers=JSON).status_code == 202

    def test_wherever_it_is_sent(self, client: TestClient) -> None:
        for path in ("/healthz", "/selection-jobs/a/cancel", "/nowhere"):
            refused(client.post(path, content=b" " * (bodies.LARGEST_BODY + 1)), 413)


def call(method: str, path: str, headers: list[tuple[bytes, bytes]], receive: Any) -> list[dict[str, Any]]:
    """The messages that the application sends, without any client's help."""
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
        "headers": headers, "http_version": "1.1", "scheme": "http", "root_path": "",
    }  # fmt: skip
    anyio.run(create_app(), scope, receive, send)
    return sent


class TestAnswers:
    def test_no_browser_may_guess_the_media_type(self, client: TestClient) -> None:
        for path in ("/", "/healthz", "/static/style.css", "/nowhere", "/openapi.json", "/record"):
            assert client.get(path).headers.get_list("x-content-type-options") == ["nosniff"]

    @pytest.mark.usefixtures("client")
    def test_a_defect_neither(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("service.web.pages.record_page", lambda _found: 1 / 0)
        answer = TestClient(create_app(), raise_server_exceptions=False).get("/record")
        refused(answer, 500)
