"""The event stream: order, resumption, its end, and a server that is told to stop while it is open."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator

import pytest
from fastapi.testclient import TestClient

from service.actions import service as actions
from service.app import create_app
from service.database.session import transaction
from service.database.tables import SelectionJob
from service.events import repository, service
from service.events.schemas import JobEvent
from service.settings import Settings
from service.wire.jobs import JobDescription
from tests.contract import job_driver as drive


@pytest.fixture
def client(embedded: Callable[..., Settings]) -> Iterator[TestClient]:
    """The application over a fresh SQLite database."""
    embedded()
    with TestClient(create_app()) as opened:
        yield opened


@pytest.fixture
def finished(client: TestClient) -> str:
    """A job that has come to its end."""
    job_id = drive.submit(drive.request("cifar/resnet20", seeds=1, promote=1))
    drive.run_to_end(job_id)
    return job_id


def stream(client: TestClient, job_id: str, last: str | None = None) -> list[dict[str, str]]:
    """The whole stream as fields of its events; comments and the retry interval are left out."""
    headers = {} if last is None else {"Last-Event-ID": last}
    response = client.get(f"/selection-jobs/{job_id}/events", headers=headers)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/event-stream")
    blocks = [block.splitlines() for block in response.text.strip().split("\n\n")]
    events = [dict(line.split(": ", 1) for line in block if not line.startswith(":")) for block in blocks]
    return [event for event in events if "data" in event]


class TestStream:
    def test_it_tells_everything_in_order_and_ends_with_the_job(self, client: TestClient, finished: str) -> None:
        events = stream(client, finished)
        assert [event["event"] for event in events] == [event.kind for event in drive.events_of(finished)]
        assert [int(event["id"]) for event in events] == [event.id for event in drive.events_of(finished)]
        assert events[-1]["event"] == "finished"
        for event in events:
            assert JobEvent.model_validate_json(event["data"]).id == int(event["id"])

    def test_it_goes_on_after_the_last_event_the_client_has(self, client: TestClient, finished: str) -> None:
        everything = stream(client, finished)
        assert stream(client, finished, everything[3]["id"]) == everything[4:]
        response = client.get(f"/selection-jobs/{finished}/events", params={"after": everything[3]["id"]})
        assert response.text.count("\ndata: ") == len(everything) - 4

    def test_a_client_that_has_all_is_told_not_to_come_back(self, client: TestClient, finished: str) -> None:
        last = stream(client, finished)[-1]["id"]
        response = client.get(f"/selection-jobs/{finished}/events", headers={"Last-Event-ID": last})
        assert (response.status_code, response.text) == (204, "")

    @pytest.mark.parametrize("wrong", ["x", "-1", str(2**70)])
    def test_a_last_event_id_that_is_none_is_refused(self, client: TestClient, finished: str, wrong: str) -> None:
        response = client.get(f"/selection-jobs/{finished}/events", headers={"Last-Event-ID": wrong})
        assert response.status_code == 422
        assert response.json()["errors"][0]["field"] == "Last-Event-ID"

    def test_other_jobs_are_not_told_of(self, client: TestClient, finished: str) -> None:
        other = drive.submit()
        drive.cancel(other)
        ids = {json.loads(event["data"])["id"] for event in stream(client, finished)}
        assert not ids & {event.id for event in drive.events_of(other)}


@pytest.mark.usefixtures("client")
class TestFollow:
    def test_what_happens_later_is_told_when_it_happens(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(service, "POLL_SECONDS", 0.01)
        job_id = drive.submit()

        async def follow() -> list[str]:
            kinds = []
            async for event in service.follow(job_id, 0, lambda: False):
                kinds.append(event.kind)
                if event.kind == "created":
                    await asyncio.to_thread(drive.cancel, job_id)
            return kinds

        kinds = asyncio.run(follow())
        assert (kinds[0], kinds[1], kinds[-1]) == ("created", "cancelling", "cancelled")

    def test_a_server_that_is_about_to_end_ends_it(self) -> None:
        job_id = drive.submit()
        closing = iter([False, True])

        async def follow() -> list[str]:
            return [event.kind async for event in service.follow(job_id, 0, lambda: next(closing))]

        assert asyncio.run(follow()) == ["created"]

    def test_it_ends_where_a_job_was_named_after_its_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(service, "POLL_SECONDS", 0.01)
        job_id = drive.submit()
        drive.cancel(job_id)
        with transaction() as session:
            actions.describe(session, job_id, JobDescription(name="Nightly"))

        async def follow() -> list[str]:
            return [event.kind async for event in service.follow(job_id, 0, lambda: False)]

        assert asyncio.run(asyncio.wait_for(follow(), 30))[-2:] == ["cancelled", "described"]

    def test_long_stories_come_in_parts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(service, "BATCH", 2)
        job_id = drive.submit()
        with transaction() as session:
            for number in range(4):
                repository.record(session, job_id, "notice", {"number": number})
            session.get_one(SelectionJob, job_id).state = "finished"
            repository.record(session, job_id, "finished", {})

        async def follow() -> list[str]:
            return [event.kind async for event in service.follow(job_id, 0, lambda: False)]

        assert asyncio.run(follow()) == ["created", *["notice"] * 4, "finished"]

    def test_it_goes_on_where_a_job_that_was_over_runs_again(self) -> None:
        job_id = drive.submit(drive.request("cifar/resnet20", promote=1, epochs=2, rungs=(1, 2)))
        drive.run_to_end(job_id, lambda _: drive.Failure("No room."))
        with transaction() as session:
            actions.retry(session, job_id)
        drive.cancel(job_id)

        async def follow() -> list[str]:
            return [event.kind async for event in service.follow(job_id, 0, lambda: False)]

        kinds = asyncio.run(follow())
        assert kinds.index("failed") < kinds.index("retried")
        assert kinds[-1] == "cancelled"
