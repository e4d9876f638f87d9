"""The outbox on SQLite and Postgres; the queue as message files and as Redis."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import redis
from sqlalchemy import select, update

from migrations.commands import upgrade
from service.database.session import transaction
from service.database.tables import OutboxMessage, Worker
from service.database.types import epoch_now, utc_now
from service.outbox import repository, service
from service.outbox.broker import QUEUES
from service.runs import repository as runs
from service.runs.sweep import sweep
from service.settings import Settings
from tests.contract.run_driver import live
from tests.contract.run_specs import run_spec
from tests.servers import free_port


def enqueue(*subject_ids: str) -> None:
    with transaction() as session:
        for subject_id in subject_ids:
            service.enqueue(session, "advance_job", subject_id)


@pytest.mark.usefixtures("store")
class TestDispatch:
    def test_each_message_leaves_once_and_in_order(self) -> None:
        sent: list[tuple[str, str]] = []
        enqueue("a", "b")
        assert service.dispatch(lambda task, subject_id: sent.append((task, subject_id))) == 2
        assert service.dispatch(lambda task, subject_id: sent.append((task, subject_id))) == 0
        assert sent == [("advance_job", "a"), ("advance_job", "b")]

    def test_nothing_leaves_of_a_change_that_was_rolled_back(self) -> None:
        with transaction() as session:
            service.enqueue(session, "advance_job", "a")
            session.rollback()
        assert service.dispatch(lambda _task, _subject_id: pytest.fail("it never happened")) == 0

    def test_no_transaction_is_open_while_sending(self) -> None:
        enqueue("a")
        # Were one open, this second writer would wait for it until SQLite gives up.
        assert service.dispatch(lambda _task, _subject_id: enqueue("b")) == 1

    def test_what_a_broken_broker_did_not_take_waits(self) -> None:
        taken: list[str] = []

        def send(_task: str, subject_id: str) -> None:
            if subject_id == "b" and not taken.count("c"):
                taken.append("c")
                raise ConnectionRefusedError("no broker")
            taken.append(subject_id)

        enqueue("a", "b")
        assert service.dispatch(send) == 1
        assert service.dispatch(send) == 1
        assert taken == ["a", "c", "b"]

    def test_a_task_of_another_version_holds_up_no_message(self) -> None:
        with transaction() as session:
            repository.add(session, "task_of_tomorrow", "x")
        enqueue("a")
        sent: list[str] = []
        assert service.dispatch(lambda task, _subject_id: sent.append(QUEUES[task])) == 1
        assert sent == ["control"]
        with transaction() as session:
            assert len(repository.unsent(session, ["task_of_tomorrow"], 10)) == 1, "a process that knows it sends it"

    def test_messages_do_not_pile_up_while_the_broker_is_down(self) -> None:
        live("a")
        with transaction() as session:
            run, _ = runs.find_or_create(session, run_spec(), "full")
        sent: list[str] = []
        for _ in range(3):
            with transaction() as session:
                sweep(session, resend_seconds=-1.0, max_attempts=3)
        for _ in range(2):
            service.dispatch(lambda _task, subject_id: sent.append(subject_id))
        assert sent == [run.id]
        with transaction() as session:
            sweep(session, resend_seconds=-1.0, max_attempts=3)
        service.dispatch(lambda _task, subject_id: sent.append(subject_id))
        assert sent == [run.id, run.id]

    def test_messages_do_not_pile_up_while_no_training_worker_lives(self) -> None:
        live("dead")
        with transaction() as session:
            session.execute(update(Worker).values(seen_epoch=epoch_now() - 1e3))
            runs.put_worker(session, "control", queues="control", slots=0, device=None)
            run, _ = runs.find_or_create(session, run_spec(), "full")
        sent: list[str] = []
        for _ in range(3):
            service.dispatch(lambda _task, subject_id: sent.append(subject_id))
            with transaction() as session:
                sweep(session, resend_seconds=-1.0, max_attempts=3)
        assert sent == [run.id]

    def test_only_old_messages_are_purged(self) -> None:
        enqueue("old", "young", "waiting")
        with transaction() as session:
            repository.add(session, "task_of_yesterday", "unknown")
            session.flush()
            row = update(OutboxMessage).where(OutboxMessage.subject_id == "unknown")
            session.execute(row.values(created_at=utc_now() - timedelta(hours=2)))
            for subject_id, age in (("old", timedelta(hours=2)), ("young", timedelta(0))):
                row = update(OutboxMessage).where(OutboxMessage.subject_id == subject_id)
                session.execute(row.values(sent_at=utc_now() - age))
            repository.purge(session, before=utc_now() - timedelta(hours=1), limit=10)
            assert set(session.scalars(select(OutboxMessage.subject_id))) == {"young", "waiting"}


class TestBroker:
    def test_message_files_carry_the_task_and_the_id(self, configure: Callable[..., Settings]) -> None:
        settings = configure()
        upgrade()
        enqueue("a")
        assert service.dispatch() == 1
        (message,) = Path(settings.queue_folder).glob("*.control.msg")
        assert json.loads(message.read_text())["headers"]["argsrepr"] == "['a']"

    @pytest.mark.servers
    def test_redis_takes_the_same_messages(self, configure: Callable[..., Settings], redis_url: str) -> None:
        configure(broker_url=redis_url)
        upgrade()
        enqueue("a")
        assert service.dispatch() == 1
        with redis.Redis.from_url(redis_url) as client:
            assert client.llen("control") == 1

    def test_a_redis_that_is_down_holds_nobody_up_and_loses_nothing(self, configure: Callable[..., Settings]) -> None:
        configure(broker_url=f"redis://127.0.0.1:{free_port()}/0")
        upgrade()
        enqueue("a")
        assert service.dispatch() == 0
        with transaction() as session:
            assert [row.subject_id for row in repository.unsent(session, ["advance_job"], 10)] == ["a"]
