"""The same job gives the same leaderboard whatever carries it and whatever is killed on the way."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from service.database.tables import OutboxMessage, Run
from tests.acceptance.system import PATIENT, ROOT, System, gone, results
from tests.servers import RedisServer

pytestmark = PATIENT


def test_undisturbed_job_is_whole(undisturbed: dict[str, Any]) -> None:
    assert [row["teacher"] for row in undisturbed["rows"] if row["rank"] == 1] != []
    assert {row["status"] for row in undisturbed["rows"]} <= {"finished", "not_promoted"}
    assert all(row["probe"]["seeds"] for row in undisturbed["rows"]), "everybody was looked at"
    assert undisturbed["verdict"]["final"]


@pytest.mark.servers
def test_by_the_compose_file_after_a_runner_was_killed_and_workers_were_told_to_leave_and_killed(
    system: Callable[..., System], undisturbed: dict[str, Any], postgres_url: str, redis_url: str
) -> None:
    services: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    commands = {name: service["command"] for name, service in services.items() if "build" in service}
    assert commands.pop("migrate") == ["python", "-m", "migrations", "upgrade"]  # `System` runs it
    assert commands.pop("worker-gpu") == commands["worker-cpu"] == ["python", "-m", "worker", "--queues", "runs"]
    stack = system(database_url=postgres_url, broker_url=redis_url)
    for program, dash_m, *rest in (commands["api"], commands["control"]):
        assert (program, dash_m) == ("python", "-m")
        stack.start(*rest)
    polite = stack.start_worker(queues="runs")
    stack.wait_for(stack.answers)
    job_id = stack.submit()
    tried_again, runner = stack.catch(polite)
    before = stack.run(tried_again).step
    runner.kill()
    stack.wait_for(lambda: stack.run(tried_again).attempts == 2)
    assert polite.is_running()

    # Where a run that began again stands says nothing about its new runner until it has moved: one suspended before it
    # asked the kernel to be killed with its parent, and so deaf, could not go.
    given_back, runner = stack.catch(polite, or_(Run.id != tried_again, Run.step > before))
    attempts = stack.run(given_back).attempts
    polite.send_signal(signal.SIGTERM)
    stack.wait_for(lambda: f"Run {given_back} is asked to stop: the worker leaves." in stack.logs())
    runner.resume()
    stack.wait_for(lambda: gone(polite))
    assert gone(runner)
    # Not counted; and where it stopped further than before, those before it are not either.
    assert stack.run(given_back).state == "queued"
    assert stack.run(given_back).attempts in (attempts - 1, 0)

    before = stack.run(given_back).step
    unlucky = stack.start_worker(queues="runs")
    lost, runner = stack.catch(unlucky, or_(Run.id != given_back, Run.step > before))
    unlucky.kill()
    stack.wait_for(lambda: gone(runner))
    assert stack.run(lost).state == "running"

    stack.start_worker(queues="runs")
    stack.wait_until(job_id, "finished")
    assert stack.run(tried_again).state == "finished"
    assert stack.run(lost).fence >= 2
    assert results(stack.leaderboard(job_id)) == undisturbed
    _assert_healthy(stack, services)


def _assert_healthy(stack: System, services: dict[str, Any]) -> None:
    """The health checks of the compose file hold."""
    health = services["control"]["healthcheck"]["test"]
    assert health == services["worker-cpu"]["healthcheck"]["test"]
    healthy = subprocess.run([sys.executable, *health[2:]], env=stack.environment, capture_output=True, text=True)
    assert healthy.returncode == 0, healthy.stderr
    script = services["api"]["healthcheck"]["test"][3].replace("8000", stack.environment["DPK_PORT"])
    assert subprocess.run([sys.executable, "-c", script], env=stack.environment).returncode == 0


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
