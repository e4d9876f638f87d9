"""The worker's heartbeat: that it lives, and what it finds."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from contextlib import nullcontext

import httpx
import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, OperationalError

from service.database.session import transaction
from service.database.tables import OutboxMessage, Run, Worker
from service.database.types import epoch_now
from service.runs import repository, service
from service.settings import Settings
from tests.contract.run_specs import add_job, run_spec
from worker import __main__ as command
from worker import heartbeat as module
from worker.heartbeat import WorkerHeartbeat


@pytest.fixture
def settings(embedded: Callable[..., Settings]) -> Settings:
    return embedded(sweep_seconds=600.0)


def beat(settings: Settings, *queues: str) -> WorkerHeartbeat:
    heartbeat = WorkerHeartbeat(settings, f"{command.socket.gethostname()}-1", queues, lambda: "a device")
    heartbeat.beat()
    return heartbeat


def test_worker_is_seen_while_it_lives_and_no_longer(settings: Settings) -> None:
    assert command.main(["--healthy"]) == 1
    heartbeat = beat(settings, "runs")
    with transaction() as session:
        found = session.scalars(select(Worker)).one()
    assert (found.queues, found.slots, found.device) == ("runs", settings.slots, "a device")
    assert command.main(["--healthy"]) == 0
    heartbeat.start()
    heartbeat.stop()
    assert command.main(["--healthy"]) == 1


def test_a_worker_of_a_machine_whose_name_begins_alike_says_nothing(settings: Settings) -> None:
    other = f"{command.socket.gethostname()}-2-77"
    WorkerHeartbeat(settings, other, ("control",), lambda: None).beat()
    assert command.main(["--healthy"]) == 1


def test_long_unheard_worker_is_not_healthy(settings: Settings) -> None:
    beat(settings, "control")
    with transaction() as session:
        session.execute(update(Worker).values(seen_epoch=epoch_now() - 1e5))
    assert command.main(["--healthy"]) == 1


def test_control_sweeps_advances_jobs_and_sends(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    advanced: list[str] = []

    def advance(_session: object, job_id: str) -> None:
        advanced.append(job_id)
        if job_id == "broken":
            raise RuntimeError("a fault of this job alone")

    monkeypatch.setattr(module, "advance_job", advance)
    with transaction() as session:
        run, _ = repository.find_or_create(session, run_spec(), "full")
        for job_id, state in (("broken", "running"), ("over", "finished"), ("sound", "cancelling")):
            add_job(session, job_id, state=state)
        assert service.claim(session, run.id, "dead", lease_seconds=-1.0, max_attempts=3)
    beat(settings, "control")
    assert advanced == ["broken", "sound"]
    with transaction() as session:
        assert session.get_one(Run, run.id).state == "queued"
        assert session.scalars(select(OutboxMessage).where(OutboxMessage.sent_at.is_(None))).all() == []


@pytest.mark.parametrize(("fault", "goes_on"), [(IntegrityError, True), (DataError, True), (OperationalError, False)])
def test_only_a_database_that_is_away_ends_a_sweep(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, fault: type[DBAPIError], goes_on: bool
) -> None:
    advanced: list[str] = []

    def advance(_session: object, job_id: str) -> None:
        advanced.append(job_id)
        if job_id == "a":
            raise fault("INSERT", {}, Exception("a value of this job alone"))

    monkeypatch.setattr(module, "advance_job", advance)
    with transaction() as session:
        for job_id in "ab":
            add_job(session, job_id)
        repository.find_or_create(session, run_spec(), "full")
    with nullcontext() if goes_on else pytest.raises(fault):
        beat(settings, "control")
    assert advanced == (["a", "b"] if goes_on else ["a"])
    with transaction() as session:
        unsent = session.scalars(select(OutboxMessage).where(OutboxMessage.sent_at.is_(None))).all()
    assert (unsent == []) is goes_on


def test_addresses_of_webhooks_are_not_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    root, httpx_log, said = logging.getLogger(), logging.getLogger("httpx"), io.StringIO()
    levels = root.level, httpx_log.level
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr("sys.stderr", said)
    command._log_to_stderr()
    transport = httpx.MockTransport(lambda _: httpx.Response(200))
    try:
        with httpx.Client(transport=transport) as client:
            client.post("https://hooks.example/services/secret")
        logging.getLogger("worker").info("heard")
    finally:
        root.setLevel(levels[0])
        httpx_log.setLevel(levels[1])
    assert "heard" in said.getvalue()
    assert "secret" not in said.getvalue()


def test_many_jobs_are_advanced_in_turns(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    advanced: list[str] = []
    monkeypatch.setattr(module, "advance_job", lambda _session, job_id: advanced.append(job_id))
    monkeypatch.setattr(module, "JOBS_PER_SWEEP", 2)
    with transaction() as session:
        for job_id in "abc":
            add_job(session, job_id)
    heartbeat = beat(settings, "control")
    heartbeat.beat()
    heartbeat.beat()
    assert advanced == ["a", "b", "c", "a", "b"]


def test_runs_alone_does_not_sweep(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "advance_job", lambda _session, _job_id: pytest.fail("control's work"))
    with transaction() as session:
        add_job(session, "a")
    beat(settings, "runs")


def test_unknown_queue_is_one_clear_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--queues", "control,trains"])
    assert "no queue is called 'trains'; choose from control, runs" in capsys.readouterr().err
