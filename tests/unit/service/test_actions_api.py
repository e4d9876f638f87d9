"""Actions on jobs over HTTP, as the SDK asks for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest
from fastapi.testclient import TestClient

from client.errors import ClientError, InputFault
from client.sdk import Client
from service.app import create_app
from service.settings import Settings
from service.wire.jobs import JobDescription


@pytest.fixture
def sdk(embedded: Callable[..., Settings]) -> Iterator[Client]:
    """The SDK on an application with an empty store."""
    embedded()
    server = TestClient(create_app())

    def handle(request: httpx.Request) -> httpx.Response:
        answer = server.request(request.method, str(request.url), content=request.content, headers=request.headers)
        return httpx.Response(answer.status_code, content=answer.content, headers=answer.headers)

    with Client("http://testserver", transport=httpx.MockTransport(handle)) as client:
        yield client


@pytest.fixture
def job_id(sdk: Client) -> str:
    return sdk.submit(student="cifar/resnet8w4", dataset="digits", teachers=["cifar/resnet8w8"], tags=["B", "a"]).id


def test_pause_and_resume(sdk: Client, job_id: str) -> None:
    assert sdk.pause(job_id).state == "paused"
    assert sdk.pause(job_id).state == "paused"
    assert [job.id for job in sdk.jobs(state="paused").jobs] == [job_id]
    assert sdk.resume(job_id).state == "running"


def test_what_the_state_does_not_allow_is_a_conflict(sdk: Client, job_id: str) -> None:
    sdk.cancel(job_id)
    for act in (sdk.pause, sdk.resume, sdk.retry):
        with pytest.raises(ClientError, match="The job was cancelled"):
            act(job_id)
    with pytest.raises(ClientError, match="no selection job"):
        sdk.pause("nothing")


def test_a_teacher_is_added_once_and_a_wrong_one_named(sdk: Client, job_id: str) -> None:
    for _ in range(2):
        request = sdk.add_teacher(job_id, "cifar/resnet20").request
        assert [str(each) for each in request.teachers] == ["cifar/resnet8w8", "cifar/resnet20"]
    with pytest.raises(ClientError, match="cifar/resnet32"):
        sdk.add_teacher(job_id, {"model": "cifar/resnet33"})
    with pytest.raises(InputFault, match="teacher"):
        sdk.add_teacher(job_id, {"modle": "cifar/resnet20"})


def test_names_and_tags_are_found(sdk: Client, job_id: str) -> None:
    assert sdk.job(job_id).tags == ["a", "b"]
    assert sdk.describe(job_id, JobDescription(name=" Release ")).name == "Release"
    assert [job.name for job in sdk.jobs(search="release", tag="a", sort="gain").jobs] == ["Release"]
    assert sdk.jobs(search="release", dataset="other").jobs == []
    assert sdk.describe(job_id, JobDescription(tags=[])).tags == []


def test_a_run_that_is_none_of_the_job(sdk: Client, job_id: str) -> None:
    with pytest.raises(ClientError, match="has no run 'f00'"):
        sdk.retry(job_id, run="f00")
    with pytest.raises(ClientError, match="teacher"):
        sdk.retry(job_id, teacher="cifar/resnet20")
