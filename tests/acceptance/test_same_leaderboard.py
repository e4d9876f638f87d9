"""The same job gives the same leaderboard whatever carries it and whatever is killed on the way."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from service.database.tables import OutboxMessage, Run
from tests.acceptance.system import System, gone, results
from tests.servers import RedisServer


def test_undisturbed_job_is_whole(undisturbed: dict[str, Any]) -> None:
    assert [row["teacher"] for row in undisturbed["rows"] if row["rank"] == 1] != []
    assert {row["status"] for row in undisturbed["rows"]} <= {"finished", "not_promoted"}
    assert all(row["probe"]["seeds"] for row in undisturbed["rows"]), "everybody was looked at"
    assert undisturbed["verdict"]["final"]


@pytest.mark.servers
def test_on_postgres_and_redis(
    system: Callable[..., System], undisturbed: dict[str, Any], postgres_url: str, redis_url: str
) -> None:
    servers = system(database_url=postgres_url, broker_url=redis_url)
    servers.start_api()
    servers.start_worker(queues="control")
    servers.start_worker(queues="runs")
    job_id = servers.submit()
    servers.wait_until(job_id, "finished")
    assert results(servers.leaderboard(job_id)) == undisturbed


@pytest.fixture(params=["embedded", pytest.param("servers", marks=pytest.mark.servers)])
def carrier(request: pytest.FixtureRequest, system: Callable[..., System]) -> System:
    """A system on SQLite and message files, and one on Postgres and Redis."""
    if request.param == "embedded":
        return system()
    servers = {"database_url": "postgres_url", "broker_url": "redis_url"}
    return system(**{name: request.getfixturevalue(fixture) for name, fixture in servers.items()})


def test_after_workers_were_told_to_leave_and_killed(carrier: System, undisturbed: dict[str, Any]) -> None:
    carrier.start_api()
    polite = carrier.start_worker()
    job_id = carrier.submit()
    given_back, runner = carrier.catch(polite)
    polite.send_signal(signal.SIGTERM)
    carrier.wait_for(lambda: f"Run {given_back} is told to stop: the worker leaves." in carrier.logs())
    runner.resume()
    carrier.wait_for(lambda: gone(polite))
    assert gone(runner)
    assert (carrier.run(given_back).state, carrier.run(given_back).attempts) == ("queued", 0)

    before = carrier.run(given_back).step
    unlucky = carrier.start_worker()
    # Where the given-back run stands says nothing about the new runner until it has moved: suspended before it asked
    # the kernel to be killed with its parent, and so deaf, it could not go.
    lost, runner = carrier.catch(unlucky, or_(Run.id != given_back, Run.step > before))
    unlucky.kill()
    carrier.wait_for(lambda: gone(runner), seconds=30)
    assert carrier.run(lost).state == "running"

    carrier.start_worker()
    carrier.wait_until(job_id, "finished")
    assert carrier.run(lost).fence >= 2
    assert results(carrier.leaderboard(job_id)) == undisturbed


def test_after_the_runner_was_killed(carrier: System, undisturbed: dict[str, Any]) -> None:
    carrier.start_api()
    worker = carrier.start_worker()
    job_id = carrier.submit()
    run_id, runner = carrier.catch(worker)
    runner.kill()
    carrier.wait_for(lambda: carrier.run(run_id).attempts == 2)
    carrier.wait_until(job_id, "finished")
    assert carrier.run(run_id).state == "finished"
    assert worker.is_running()
    assert results(carrier.leaderboard(job_id)) == undisturbed


@pytest.mark.servers
def test_when_the_broker_comes_late_and_every_message_twice(
    system: Callable[..., System], undisturbed: dict[str, Any]
) -> None:
    broker = RedisServer()
    try:
        late = system(broker_url=broker.url)
        late.start_api()
        job_id = late.submit()
        assert unsent(late) == 1
        worker = late.start_worker()
        broker.start()
        late.wait_for(lambda: late.runs(Run.state == "running"))
        send_all_again(late)
        late.wait_until(job_id, "finished")
        late.wait_for(lambda: unsent(late) == 0)
        board, runs = late.leaderboard(job_id), fences(late)
        assert results(board) == undisturbed
        send_all_again(late)
        late.wait_for(lambda: unsent(late) == 0)
        another = late.submit()  # served after all the repeated messages
        late.wait_until(another, "finished")
        assert late.leaderboard(job_id) == board
        assert fences(late) == runs
        assert worker.is_running()
    finally:
        broker.remove()


def unsent(system: System) -> int:
    with Session(system.engine) as session:
        return len(session.scalars(select(OutboxMessage).where(OutboxMessage.sent_at.is_(None))).all())


def send_all_again(system: System) -> None:
    with Session(system.engine) as session, session.begin():
        session.execute(update(OutboxMessage).values(sent_at=None))


def fences(system: System) -> dict[str, int]:
    with Session(system.engine) as session:
        return {run.id: run.fence for run in session.scalars(select(Run))}
