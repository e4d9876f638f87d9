"""That a worker lives, what its sweeps find, and that neither waits for the other, nor for webhooks."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import nullcontext

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, OperationalError

from service.database.session import transaction
from service.database.tables import OutboxMessage, Run, Worker
from service.database.types import epoch_now
from service.runs import repository, service
from service.settings import Settings
from service.webhooks import sending
from service.webhooks import service as webhooks
from service.webhooks.schemas import WebhookRequest
from tests.contract.run_specs import add_job, run_spec
from tests.unit.worker.test_supervisor import wait_for
from worker import __main__ as command
from worker import sweeper as module
from worker.heartbeat import WorkerHeartbeat
from worker.periodic import Periodic
from worker.sweeper import Sweeper
from worker.webhook_sender import THREADS, WebhookSender

HANGS, ANSWERS = "https://hangs.example.org/", "https://answers.example.org/"


@pytest.fixture
def settings(embedded: Callable[..., Settings]) -> Settings:
    return embedded(sweep_seconds=600.0)


def beat(settings: Settings, *queues: str) -> WorkerHeartbeat:
    heartbeat = WorkerHeartbeat(settings, f"{command.socket.gethostname()}-1", queues, lambda: "a device")
    heartbeat.beat()
    return heartbeat


def sweep(settings: Settings, *queues: str) -> Sweeper:
    sweeper = Sweeper(settings, queues)
    sweeper.sweep()
    return sweeper


def seen(machine: str) -> bool:
    with transaction() as session:
        return repository.worker_seen(session, machine, within_seconds=60.0)


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
    sweep(settings, "control")
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
        sweep(settings, "control")
    assert advanced == (["a", "b"] if goes_on else ["a"])
    with transaction() as session:
        unsent = session.scalars(select(OutboxMessage).where(OutboxMessage.sent_at.is_(None))).all()
    assert (unsent == []) is goes_on


def test_many_jobs_are_advanced_in_turns(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    advanced: list[str] = []
    monkeypatch.setattr(module, "advance_job", lambda _session, job_id: advanced.append(job_id))
    monkeypatch.setattr(module, "JOBS_PER_SWEEP", 2)
    with transaction() as session:
        for job_id in "abc":
            add_job(session, job_id)
    sweeper = sweep(settings, "control")
    sweeper.sweep()
    sweeper.sweep()
    assert advanced == ["a", "b", "c", "a", "b"]


def test_runs_alone_does_not_sweep(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "advance_job", lambda _session, _job_id: pytest.fail("control's work"))
    with transaction() as session:
        add_job(session, "a")
    sweep(settings, "runs")


def test_a_worker_says_that_it_lives_while_a_sweep_takes_long(
    embedded: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = embedded(sweep_seconds=0.02)
    began, may_end = threading.Event(), threading.Event()

    def advance(_session: object, _job_id: str) -> None:
        began.set()
        may_end.wait()

    monkeypatch.setattr(module, "transaction", nullcontext)  # a job holds no lock here, as on Postgres
    monkeypatch.setattr(module, "sweep", lambda *_arguments, **_options: "")
    monkeypatch.setattr(repository, "live_jobs", lambda *_arguments, **_options: ["a", "b"])
    monkeypatch.setattr(module, "advance_job", advance)
    heartbeat, sweeper = WorkerHeartbeat(chosen, "me-1", ("control",), lambda: None), Sweeper(chosen, ("control",))
    sweeper.start()
    began.wait()
    try:
        heartbeat.start()
        wait_for(lambda: seen("me"))
    finally:
        sweeper.terminate()
        may_end.set()
        sweeper.stop()
        heartbeat.stop()


def test_a_receiver_that_hangs_holds_up_no_other(
    embedded: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded(webhook_key="k" * 32)
    tried, may_end = list[str](), threading.Event()

    def post(url: str, *_arguments: object) -> int:
        tried.append(url)
        if url == HANGS:
            may_end.wait()
        return 204

    monkeypatch.setattr(sending, "post", post)
    with transaction() as session:
        for url, messages in ((HANGS, THREADS + 1), (ANSWERS, 2)):
            added = webhooks.add(session, WebhookRequest.model_validate({"url": url}))
            for _ in range(messages):
                webhooks.test(session, added.webhook.id)
    sender = WebhookSender()
    sender.start()
    try:
        wait_for(lambda: tried.count(ANSWERS) == 2)
        assert tried.count(HANGS) == 1, "the others wait for the first one"
        may_end.set()
        wait_for(lambda: tried.count(HANGS) == THREADS + 1)
    finally:
        may_end.set()
        sender.stop()


@pytest.mark.parametrize(
    ("fault", "level"),
    [
        (OperationalError("SELECT 1", {}, OSError("no route")), logging.WARNING),
        (DataError("SELECT 1", {}, ValueError("out of range")), logging.ERROR),
        (ValueError("an error of ours"), logging.ERROR),
    ],
)
def test_only_a_database_that_is_away_is_a_warning(
    caplog: pytest.LogCaptureFixture, fault: Exception, level: int
) -> None:
    def work() -> None:
        done.set()
        raise fault

    done = threading.Event()
    periodic = Periodic("test", work, 600.0)
    periodic.start()
    done.wait()
    periodic.stop()
    assert [record.levelno for record in caplog.records] == [level]


def test_work_that_fails_is_done_again() -> None:
    done = list[int]()

    def work() -> None:
        done.append(len(done))
        if len(done) == 1:
            raise OperationalError("SELECT 1", {}, OSError("no route"))
        if len(done) == 2:
            raise ValueError("an error of ours")

    periodic = Periodic("test", work, 0.0)
    periodic.start()
    wait_for(lambda: len(done) > 2)
    periodic.stop()


def test_unknown_queue_is_one_clear_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--queues", "control,trains"])
    assert "no queue is called 'trains'; choose from control, runs" in capsys.readouterr().err
