"""A busy server, a lost database and a silent broker: said with 503 at once, and never by silence."""

from __future__ import annotations

import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import anyio
import httpx
import pytest
import uvicorn
from anyio import to_thread
from fastapi.testclient import TestClient
from psycopg.errors import DiskFull
from sqlalchemy import event, exc, text

from migrations.commands import upgrade
from service.__main__ import Server
from service.app import create_app
from service.database import session
from service.database.faults import is_away, is_full, sentence
from service.events import service as events
from service.health import service as health
from service.health.probe import Probe
from service.health.schemas import Readiness
from service.models import vetting
from service.outbox import broker
from service.outbox import service as outbox
from service.problems import Unavailable
from service.settings import Settings

Configure = Callable[..., Settings]
REQUEST = {"student": "cifar/resnet8w4", "dataset": "digits", "teachers": ["cifar/resnet20"]}
READY = Readiness(parts=[], alarms=[])
PATIENCE_SECONDS = 60.0
LOST = exc.OperationalError("SELECT", {}, Exception("the server\nis gone"))


def unavailable(response: Any) -> None:
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) > 0
    assert response.json()["errors"][0]["field"] == "database"


class TestDatabase:
    def test_an_exhausted_pool(self, configure: Configure) -> None:
        configure(database_pool_size=1, database_pool_overflow=0, database_pool_seconds=0.01)
        upgrade()
        client = TestClient(create_app())
        with session.reading() as held:
            held.execute(text("SELECT 1"))
            unavailable(client.get("/selection-jobs"))
            unavailable(client.post("/selection-jobs", json=REQUEST))
            unavailable(client.get("/selection-jobs/a/events"))
            assert client.get("/healthz").status_code == 200
            assert client.get("/readyz").status_code == 200
        assert client.get("/selection-jobs").status_code == 200

    def test_another_writer_that_takes_too_long(self, configure: Configure) -> None:
        configure(database_lock_seconds=0.01)
        upgrade()
        client = TestClient(create_app())
        with session.transaction() as writer:
            writer.execute(text("SELECT 1"))
            unavailable(client.post("/selection-jobs", json=REQUEST))
            assert client.get("/selection-jobs").status_code == 200
            assert client.get("/readyz").status_code == 200

    def test_a_database_that_is_damaged(self, configure: Configure) -> None:
        chosen = configure()
        upgrade()
        session.engine().dispose()
        (chosen.home / "dpk.sqlite").write_bytes(b"no database " * 100)
        client = TestClient(create_app())
        unavailable(client.get("/selection-jobs"))
        unavailable(client.get("/readyz"))

    def test_a_database_whose_disk_is_full_says_so(self, configure: Configure) -> None:
        configure()
        upgrade()
        client = TestClient(create_app())
        with session.transaction() as writer:
            pages = writer.execute(text("PRAGMA page_count")).scalar_one()
        event.listen(
            session.engine(), "begin", lambda connection: connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
        )
        for _ in range(30):
            answer = client.post("/selection-jobs", json=REQUEST)
            if answer.status_code != 202:
                break
        unavailable(answer)
        assert "The disk that the database is on is full" in answer.json()["detail"]
        assert is_full(exc.OperationalError("INSERT", {}, DiskFull()))
        assert not is_full(LOST)

    def test_a_query_that_is_wrong_is_a_defect(self) -> None:
        for error in (exc.IntegrityError, exc.DataError, exc.ProgrammingError):
            found = error("SELECT", {}, Exception("no such thing"))
            assert not is_away(found)
            assert sentence(found) == "The database refused what it was asked: no such thing"
        assert sentence(LOST).startswith("The database cannot be reached: ")
        assert sentence(exc.OperationalError("INSERT", {}, DiskFull())).startswith("The database has no room left")

    def test_a_database_lost_after_the_answer(self, configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
        configure()

        def lost(*_arguments: object) -> None:
            raise LOST

        monkeypatch.setattr("service.outbox.repository.unsent", lost)
        assert outbox.dispatch() == 0


@pytest.mark.servers
class TestPostgres:
    def test_a_statement_that_takes_too_long(self, configure: Configure, postgres_url: str) -> None:
        configure(database_url=postgres_url, database_statement_seconds=0.05)
        with pytest.raises(exc.OperationalError, match="statement timeout"), session.reading() as opened:
            opened.execute(text("SELECT pg_sleep(60)"))

    def test_a_lock_that_is_held_too_long(self, configure: Configure, postgres_url: str) -> None:
        configure(database_url=postgres_url, database_lock_seconds=0.05)
        upgrade()
        client = TestClient(create_app())
        with session.transaction() as holder:
            holder.execute(text("LOCK TABLE selection_jobs"))
            unavailable(client.post("/selection-jobs", json=REQUEST))
        assert client.post("/selection-jobs", json=REQUEST).status_code == 202

    def test_a_database_that_is_not_migrated(self, configure: Configure, postgres_url: str) -> None:
        configure(database_url=postgres_url)
        unavailable(TestClient(create_app()).get("/selection-jobs"))

    def test_options_of_the_address_prevail(self, configure: Configure, postgres_url: str) -> None:
        mark = "&" if "?" in postgres_url else "?"
        configure(database_url=f"{postgres_url}{mark}options=-c%20statement_timeout%3D1234")
        with session.reading() as opened:
            assert opened.scalar(text("SHOW statement_timeout")) == "1234ms"
            assert opened.scalar(text("SHOW lock_timeout")) == "30s"


class TestStream:
    def test_it_waits_for_a_lost_database(self, monkeypatch: pytest.MonkeyPatch) -> None:
        outcomes = iter([LOST, exc.TimeoutError(), ["first"], LOST, ["last"], ["last"]])
        looks = iter([LOST, True])

        def read(_job_id: str, _after: int) -> list[Any]:
            outcome = next(outcomes)
            if isinstance(outcome, Exception):
                raise outcome
            kinds = {"first": "created", "last": "finished"}
            return [type("Event", (), {"id": 1, "kind": kinds[name], "name": name}) for name in outcome]

        async def names() -> list[str]:
            return [event.name async for event in events.follow("a", 0, lambda: False)]  # type: ignore[attr-defined]

        def is_over(_job_id: str, _after: int) -> bool:
            outcome = next(looks)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        monkeypatch.setattr(events, "read", read)
        monkeypatch.setattr(events, "is_over", is_over)
        monkeypatch.setattr(events, "AWAY_SECONDS", 0)
        assert anyio.run(names) == ["first", "last"]


def busy(ask: Callable[[httpx.AsyncClient], Awaitable[None]]) -> None:
    """Asks the application while every thread of its pool is taken."""
    release = threading.Event()

    async def main() -> None:
        to_thread.current_default_thread_limiter().total_tokens = 1
        transport = httpx.ASGITransport(create_app())
        client = httpx.AsyncClient(transport=transport, base_url="http://localhost")
        async with client, anyio.create_task_group() as group:
            group.start_soon(to_thread.run_sync, release.wait)
            await anyio.wait_all_tasks_blocked()
            try:
                await ask(client)
            finally:
                release.set()

    anyio.run(main)


def test_as_many_threads_as_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(*_arguments: object) -> None:
        pass

    async def started() -> float:
        await Server(uvicorn.Config(create_app()), threads=7).startup()
        return to_thread.current_default_thread_limiter().total_tokens

    monkeypatch.setattr(uvicorn.Server, "startup", nothing)
    assert anyio.run(started) == 7


def test_uploads_that_wait_for_their_check_hold_no_thread(embedded: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    incoming = embedded().resolved_artifact_root / "models" / "incoming"
    release, begun = threading.Event(), list[str]()

    def ask(name: str, _upload: object) -> dict[str, Any]:
        begun.append(name)
        release.wait()
        return {"refused": "enough was seen"}

    monkeypatch.setattr(vetting, "_ask", ask)
    monkeypatch.setattr(vetting, "WAIT_SECONDS", PATIENCE_SECONDS)
    answered: list[int] = []

    async def main() -> None:
        threads = to_thread.current_default_thread_limiter()
        threads.total_tokens = 4
        transport = httpx.ASGITransport(create_app())
        async with (
            httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
            anyio.create_task_group() as group,
        ):

            async def upload(number: int) -> None:
                answer = await client.post(f"/models?name=m{number}", content=bytes([number]))
                answered.append(answer.status_code)

            for number in range(6):
                group.start_soon(upload, number)
            try:
                with anyio.fail_after(PATIENCE_SECONDS / 2):
                    while len(begun) < vetting.AT_ONCE or len([*incoming.glob("*/upload")]) < 6:
                        await anyio.sleep(0.01)
                    while threads.borrowed_tokens > vetting.AT_ONCE:
                        await anyio.sleep(0.01)
                    assert (await client.get("/selection-jobs")).status_code == 200
            finally:
                release.set()

    anyio.run(main)
    assert answered == [422] * 6


class TestHealth:
    def test_health_waits_for_no_thread(self, configure: Configure) -> None:
        configure()
        upgrade()

        async def ask(client: httpx.AsyncClient) -> None:
            assert (await client.get("/healthz")).status_code == 200
            assert (await client.get("/readyz")).status_code == 200

        busy(ask)

    def test_pollers_share_one_check(self) -> None:
        begun: list[int] = []
        release = threading.Event()

        def check() -> Readiness:
            begun.append(1)
            release.wait()
            return READY

        async def main() -> list[Readiness]:
            probe, found = Probe(check), []

            async def poll() -> None:
                found.append(await probe.ask())

            async with anyio.create_task_group() as group:
                with anyio.CancelScope() as leaving:
                    async with anyio.create_task_group() as first:
                        first.start_soon(probe.ask)
                        await anyio.wait_all_tasks_blocked()
                        leaving.cancel()
                for _ in range(50):
                    group.start_soon(poll)
                await anyio.wait_all_tasks_blocked()
                release.set()
            await probe.ask()
            return found

        assert anyio.run(main) == [READY] * 50
        assert len(begun) == 2

    def test_a_check_without_end(self) -> None:
        release = threading.Event()

        def check() -> Readiness:
            release.wait()
            return READY

        async def main() -> None:
            probe = Probe(check, seconds=0.01)
            try:
                with pytest.raises(Unavailable, match="did not end"):
                    await probe.ask()
            finally:
                release.set()

        anyio.run(main)


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(20)
        yield listener.getsockname()[1]


class TestBroker:
    @pytest.mark.parametrize("scheme", ["redis", "rediss", "amqp", "amqps"])
    def test_a_port_that_is_silent(
        self, configure: Configure, monkeypatch: pytest.MonkeyPatch, silent_port: int, scheme: str
    ) -> None:
        monkeypatch.setattr(broker, "BROKER_SECONDS", 0.1)
        monkeypatch.setattr(broker, "SILENCE_SECONDS", 0.1)
        configure(broker_url=f"{scheme}://127.0.0.1:{silent_port}/0")
        upgrade()
        with pytest.raises(Unavailable, match="The broker cannot be reached"):
            health.readiness()
        assert TestClient(create_app()).post("/selection-jobs", json=REQUEST).status_code == 202
