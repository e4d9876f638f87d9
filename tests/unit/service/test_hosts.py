"""Whose requests are served: names the server is known as, and writes that no foreign page sends."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient
from starlette.datastructures import Headers

from service.app import create_app
from service.doors.hosts import check_host, check_origin
from service.problems import CrossSite, UnknownHost
from service.settings import Settings


@pytest.mark.parametrize(
    ("host", "listening_at", "allowed"),
    [
        ("localhost", "127.0.0.1", ""),
        ("LOCALHOST:8000", "127.0.0.1", ""),
        ("localhost.:8000", "127.0.0.1", ""),
        ("127.0.0.1:9", "127.0.0.1", ""),
        ("127.0.0.2", "127.0.0.1", ""),
        ("[::1]:8000", "127.0.0.1", ""),
        ("[::1]", "::1", ""),
        ("192.168.1.7:8000", "192.168.1.7", ""),
        ("192.168.1.7:8000", "0.0.0.0", ""),  # noqa: S104 - compared
        ("[fd00::7]", "::", ""),
        ("gpu-box:8000", "gpu-box", ""),
        ("api:8000", "0.0.0.0", "api,"),  # noqa: S104 - compared
        ("dpk.example.org", "127.0.0.1", "other, DPK.example.org"),
        ("dpk.example.org:81", "127.0.0.1", "dpk.example.org:8443"),
        ("anything", "127.0.0.1", "*"),
    ],
)
def test_hosts_that_are_served(host: str, listening_at: str, allowed: str) -> None:
    check_host(Headers({"host": host}), listening_at, allowed)


@pytest.mark.parametrize(
    ("host", "listening_at", "allowed"),
    [
        ("evil.example", "127.0.0.1", ""),
        ("evil.example:8000", "0.0.0.0", ""),  # noqa: S104 - compared
        ("192.168.1.7", "127.0.0.1", ""),
        ("localhost.evil.example", "127.0.0.1", ""),
        ("127.0.0.1.evil.example", "127.0.0.1", "dpk.example.org"),
        ("evil.example@localhost", "127.0.0.1", ""),
        ("localhost:8000:1", "127.0.0.1", ""),
        ("localhost/evil", "127.0.0.1", ""),
        ("", "127.0.0.1", ""),
        ("[", "127.0.0.1", ""),
        ("x" * 5000, "127.0.0.1", ""),
    ],
)
def test_hosts_that_are_refused(host: str, listening_at: str, allowed: str) -> None:
    with pytest.raises(UnknownHost, match="DPK_ALLOWED_HOSTS") as raised:
        check_host(Headers({"host": host}), listening_at, allowed)
    assert len(str(raised.value)) < 400


def test_http_1_0_has_no_host() -> None:
    check_host(Headers({}), "127.0.0.1", "")


HERE = {"host": "localhost:8000"}


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, ""),  # curl, the SDK
        ({"origin": "http://localhost:8000", "sec-fetch-site": "same-origin"}, ""),
        ({"origin": "http://LOCALHOST:8000"}, ""),
        ({"sec-fetch-site": "none"}, ""),
        ({"host": "dpk.example.org", "origin": "https://dpk.example.org", "sec-fetch-site": "same-origin"}, ""),
        ({"origin": "https://dpk.example.org", "sec-fetch-site": "same-origin"}, "dpk.example.org"),
        ({"origin": "http://localhost:3000", "sec-fetch-site": "same-site"}, "localhost:3000"),
    ],
)
def test_writes_that_are_taken(headers: dict[str, str], allowed: str) -> None:
    check_origin("POST", Headers(HERE | headers), allowed)


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({"origin": "https://evil.example", "sec-fetch-site": "cross-site"}, ""),
        ({"origin": "https://evil.example"}, "*"),
        ({"origin": "http://localhost:9000", "sec-fetch-site": "same-site"}, ""),
        ({"origin": "http://localhost:9000"}, ""),
        ({"origin": "http://localhost"}, ""),
        ({"origin": "http://127.0.0.1:8000"}, ""),
        ({"origin": "null"}, ""),
        ({"origin": "null"}, "null"),
        ({"origin": ""}, ""),
        ({"origin": "file://"}, ""),
        ({"sec-fetch-site": "cross-site"}, ""),
        ({"origin": "https://dpk.example.org:444"}, "dpk.example.org"),
        ({"origin": "http://localhost:8000", "sec-fetch-site": "cross-site"}, ""),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "BREW"])
def test_writes_that_are_refused(method: str, headers: dict[str, str], allowed: str) -> None:
    with pytest.raises(CrossSite, match="DPK_ALLOWED_HOSTS"):
        check_origin(method, Headers(HERE | headers), allowed)


def test_reads_are_the_browsers_business() -> None:
    check_origin("GET", Headers(HERE | {"origin": "https://evil.example"}), "")


class TestApplication:
    """The same, in the place where it counts."""

    def test_a_name_that_was_made_to_lead_here(self, configure: Callable[..., Settings]) -> None:
        configure()
        client = TestClient(create_app(), base_url="http://evil.example:8000")
        for answer in (client.get("/"), client.post("/selection-jobs", json={})):
            assert answer.status_code == 421
            assert "'evil.example:8000'" in answer.json()["detail"]
        assert client.head("/").status_code == 421

    def test_a_form_on_a_foreign_page(self, configure: Callable[..., Settings]) -> None:
        configure()
        client = TestClient(create_app())
        answer = client.post("/selection-jobs/a/cancel", headers={"Origin": "https://evil.example"})
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:dpk-select:problem:cross-site")
