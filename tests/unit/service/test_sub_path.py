"""The service under a path of a site, behind a proxy that takes the path away."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi.testclient import TestClient
from pydantic import ValidationError
from starlette.types import ASGIApp, Receive, Scope, Send

from client.sdk import Client
from service.app import create_app
from service.settings import Settings
from service.web.jobs_page import JobsAsked, jobs_page
from service.wire.jobs import JobList
from tests.unit.web import sample

PREFIX = "/ml/dpk"
REQUEST = {"student": "cifar/resnet8w4", "dataset": "digits", "teachers": ["cifar/resnet8w8"], "seeds": 2,
           "budget": {"epochs": 8, "rungs": [2, 8], "promote": 1}}  # fmt: skip
LINK = re.compile(r'(?:href|src|action|data-source|data-events)="([^"#][^"]*)"')


def _links(page: str) -> list[str]:
    return [html.unescape(link) for link in LINK.findall(page) if not link.startswith("data:")]


class Site:
    """A proxy that serves the application under PREFIX and answers 418 elsewhere. `said`: the prefix that it sends;
    None: the server was started with `root_path`, as uvicorn passes it on."""

    def __init__(self, app: ASGIApp, said: str | None) -> None:
        self._app, self._said = app, said

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not scope["path"].startswith(f"{PREFIX}/"):
            await send({"type": "http.response.start", "status": 418, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        if self._said is None:
            scope = {**scope, "root_path": PREFIX}
        else:
            headers = [*scope["headers"], (b"x-forwarded-prefix", self._said.encode())]
            path = scope["path"].removeprefix(PREFIX)
            scope = {**scope, "path": path, "raw_path": path.encode(), "headers": headers}
        await self._app(scope, receive, send)


@pytest.fixture(params=["root path", "header"])
def site(request: pytest.FixtureRequest, embedded: Callable[..., Settings]) -> TestClient:
    """The site, with an empty store."""
    by_header = request.param == "header"
    embedded(trust_proxy=by_header)
    return TestClient(Site(create_app(), f"{PREFIX}/" if by_header else None))


def test_every_link_of_every_page_leads_somewhere(site: TestClient) -> None:
    job_id = site.post(f"{PREFIX}/selection-jobs", json=REQUEST).json()["id"]
    pages = ["/", f"/jobs/{job_id}", f"/jobs/{job_id}/live", "/record", "/jobs/nothing", "/new"]
    links: dict[str, str] = {}
    for page in pages:
        links |= dict.fromkeys(_links(site.get(PREFIX + page).text), page)
    assert len(links) >= 10
    for link, page in links.items():
        assert link.startswith(f"{PREFIX}/"), page
        if not link.endswith("/events"):
            answer = site.get(link)
            assert answer.status_code == 200 or answer.headers.get("allow") == "POST", (page, link)
    assert _links(site.get(f"{PREFIX}/selection-jobs/{job_id}/report").text) == []


def test_older_jobs_are_behind_the_path_too() -> None:
    found = JobList(jobs=[sample.job("running", "exploring")], next_before="abc")
    links = _links(jobs_page(found, f"http://site{PREFIX}/", JobsAsked(before="xyz"), root=PREFIX))
    assert f"{PREFIX}/?before=abc" in links
    assert f"{PREFIX}/?before=xyz" in links
    assert all(link.startswith(f"{PREFIX}/") for link in links)


def test_examples_name_the_address_of_the_site(site: TestClient) -> None:
    assert f"curl -X POST http://testserver{PREFIX}/selection-jobs" in site.get(f"{PREFIX}/").text


def test_a_job_is_found_at_its_location(site: TestClient) -> None:
    answer = site.post(f"{PREFIX}/selection-jobs", json=REQUEST)
    assert site.get(answer.headers["location"]).json()["id"] == answer.json()["id"]


def test_a_redirect_stays_on_the_site(site: TestClient) -> None:
    answer = site.get(f"{PREFIX}/record/", follow_redirects=False)
    assert urlsplit(answer.headers["location"]).path == f"{PREFIX}/record"


def test_the_api_document_names_the_path(site: TestClient) -> None:
    assert site.get(f"{PREFIX}/openapi.json").json()["servers"] == [{"url": PREFIX}]


def test_links_in_answers_go_behind_the_servers_address(site: TestClient) -> None:
    site.post(f"{PREFIX}/selection-jobs", json=REQUEST)

    def handle(request: httpx.Request) -> httpx.Response:
        answer = site.request(request.method, str(request.url.raw_path, "ascii"), content=request.content)
        return httpx.Response(answer.status_code, content=answer.content)

    with Client(f"http://testserver{PREFIX}/", transport=httpx.MockTransport(handle)) as client:
        (job,) = client.jobs().jobs
        for link in job.links.model_dump(exclude={"events", "cancel"}).values():
            assert site.get(f"{client.base_url}{link}").status_code == 200
        assert client.report(job.id).startswith("<!doctype html>")


@pytest.mark.parametrize("said", ["//evil.org", "/a//b", "/..", '/"><script>', "evil", "/a?b", "http://x", "/é"])
def test_a_header_that_is_no_plain_path_counts_as_none(embedded: Callable[..., Settings], said: str) -> None:
    embedded(trust_proxy=True)
    answer = TestClient(create_app()).get("/record", headers={"X-Forwarded-Prefix": said.encode()})
    assert 'href="/"' in answer.text


def test_a_header_that_anybody_may_send_changes_nothing(embedded: Callable[..., Settings]) -> None:
    embedded()
    client = TestClient(create_app())
    assert client.get("/record", headers={"X-Forwarded-Prefix": "/x"}).text == client.get("/record").text


@pytest.mark.parametrize(("path", "taken"), [("", ""), ("/", ""), ("/dpk", "/dpk"), ("/ml/dpk-2.0/", "/ml/dpk-2.0")])
def test_the_setting_is_a_plain_path(configure: Callable[..., Settings], path: str, taken: str) -> None:
    assert configure(root_path=path).root_path == taken


@pytest.mark.parametrize("path", ["dpk", "//dpk", "/dpk//x", "/../dpk", "/dpk?x", "http://x/dpk"])
def test_a_setting_that_is_none_is_refused(configure: Callable[..., Settings], path: str) -> None:
    with pytest.raises(ValidationError, match="write a path as /dpk"):
        configure(root_path=path)
