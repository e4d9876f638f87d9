"""Messages to webhooks: made with their event, signed, sent until they arrive; on SQLite and on Postgres."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import DataError, DBAPIError, OperationalError
from standardwebhooks import Webhook as Receiver

from service.database.session import reading, transaction
from service.database.tables import Event
from service.database.types import epoch_now, utc_now
from service.database.webhook_tables import WebhookDelivery
from service.problems import Conflict, NotFound, Rejected
from service.settings import Settings
from service.webhooks import bodies, repository, sending, service
from service.webhooks.addresses import Refused
from service.webhooks.schemas import Delivery, WebhookRequest, WebhookSecret
from tests.contract import job_driver as drive
from tests.contract.job_driver import ON_SQLITE

KEY = "k" * 32
URL = "https://ci.example.org/hook"
THREADS = 4


@pytest.fixture(autouse=True)
def store(configure: Callable[..., Settings], migrated_url: str) -> Settings:
    sending._last.clear()
    return configure(database_url=migrated_url, webhook_key=KEY)


def add(*events: str, url: str = URL) -> WebhookSecret:
    asked: dict[str, Any] = {"url": url} | ({"events": events} if events else {})
    with transaction() as session:
        return service.add(session, WebhookRequest.model_validate(asked))


def log(webhook_id: str) -> list[Delivery]:
    with reading() as session:
        return service.log(session, webhook_id).deliveries


def send_test(webhook_id: str) -> Delivery:
    with transaction() as session:
        return service.test(session, webhook_id)


def send(message: str, *answers: int | Exception) -> list[tuple[str, str, dict[str, str]]]:
    """Tries as often as there are answers, each as soon as it may be tried."""
    sent: list[tuple[str, str, dict[str, str]]] = []

    def post(url: str, body: str, headers: dict[str, str]) -> int:
        sent.append((url, body, headers))
        answer = answers[len(sent) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer

    for _ in answers:
        with transaction() as session:
            session.execute(update(WebhookDelivery).values(next_epoch=epoch_now()))
        sending.send(message.removeprefix("msg_"), post)
    return sent


def test_the_end_of_a_job_is_told_once_to_those_who_asked_and_can_be_verified() -> None:
    added, other = add(), add("failed")
    job_id = drive.submit()
    drive.run_to_end(job_id)
    (message,) = log(added.webhook.id)
    assert log(other.webhook.id) == []
    ((url, body, headers),) = send(message.id, 204)
    assert url == URL
    received = Receiver(added.secret).verify(body, headers)
    assert received["type"] == "job.finished"
    assert received["data"]["job"] == job_id
    assert received["data"]["sentence"] == drive.final_verdict(job_id)["sentence"]
    assert received["data"]["verdict"]["teacher"] == "cifar/resnet20"
    assert headers["webhook-id"] == message.id
    (done,) = log(added.webhook.id)
    assert (done.state, done.status, done.attempts, done.body) == ("delivered", 204, 1, received)
    assert send(message.id, 204) == []
    assert sending.send(message.id.removeprefix("msg_")) is None


@ON_SQLITE
def test_failed_and_cancelled_jobs_and_new_verdicts_are_told_too() -> None:
    added = add("failed", "cancelled", "verdict").webhook.id
    drive.cancel(drive.submit())
    drive.run_to_end(drive.submit(), lambda _spec: drive.Failure("No."))
    drive.run_to_end(drive.submit(drive.request(seeds=3)))
    kinds = [each.kind for each in log(added)]
    assert {"failed", "cancelled", "verdict"} == set(kinds)


def test_a_message_is_made_with_its_event_or_not_at_all() -> None:
    added = add().webhook.id
    with transaction() as session:
        service.test(session, added)
        session.rollback()
    assert log(added) == []
    message = send_test(added)
    with reading() as session:
        assert repository.next_due(session) == (message.id.removeprefix("msg_"), added)


def test_what_does_not_arrive_is_tried_again_later_and_later_and_then_failed() -> None:
    added = add()
    message = send_test(added.webhook.id).id
    answers: list[int | Exception] = [ConnectionRefusedError("refused"), *[500] * len(sending.WAITS)]
    for count, answer in enumerate(answers, 1):
        send(message, answer)
        (now,) = log(added.webhook.id)
        assert now.attempts == count
        assert now.state == ("waiting" if count < len(answers) else "failed")
        if count == 1:
            assert (now.status, now.error) == (None, f"{URL} cannot be reached: refused.")
    assert (now.status, now.error) == (500, "The receiver answered 500.")
    with transaction() as session:
        service.again(session, added.webhook.id, message)
        with pytest.raises(Conflict):
            service.again(session, added.webhook.id, message)
    ((_, body, headers),) = send(message, 200)
    assert headers["webhook-id"] == message
    Receiver(added.secret).verify(body, headers)


def test_a_try_whose_time_has_not_come_or_that_another_worker_makes_is_left_alone() -> None:
    added = add().webhook.id
    message = send_test(added).id.removeprefix("msg_")
    with transaction() as session:
        assert repository.claim(session, message, 60.0) is not None
    with transaction() as session:
        assert repository.claim(session, message, 60.0) is None
        assert repository.next_due(session) is None
        session.execute(update(WebhookDelivery).values(next_epoch=epoch_now() - 1))
        assert repository.next_due(session) == (message, added)
        assert repository.next_due(session, busy=[added]) is None


def test_all_that_is_due_is_tried_the_longest_due_first(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = list[str]()

    def post(_url: str, _body: str, headers: dict[str, str], _allowed: object) -> int:
        sent.append(headers["webhook-id"])
        return 204

    monkeypatch.setattr(sending, "post", post)
    added = add().webhook.id
    messages = [send_test(added).id for _ in range(3)]
    assert [sending.send_next() for _ in range(4)] == [True, True, True, False]
    assert sent == messages


def test_receivers_that_hang_hold_up_none_that_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = list[str]()

    def post(url: str, _body: str, _headers: dict[str, str], _allowed: object) -> int:
        sent.append(url)
        if url != URL:
            raise TimeoutError
        return 204

    monkeypatch.setattr(sending, "post", post)
    hang = [f"{URL}/{number}" for number in range(4)]
    for url in hang:
        added = add(url=url).webhook.id
        for _ in range(3):
            send_test(added)
    answers = add().webhook.id
    for _ in range(2):
        send_test(answers)
    for _ in range(9):
        assert sending.send_next()
    assert sent == [*hang, URL, URL, *hang[:3]]


def test_a_fault_of_the_wording_costs_the_message_and_not_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object) -> str:
        raise RuntimeError("no words")

    added = add()
    job_id = drive.submit()
    with monkeypatch.context() as patch:
        patch.setattr(bodies, "verdict_sentence", fail)
        drive.run_to_end(job_id)
        assert drive.job(job_id).state == "finished"
        (message,) = log(added.webhook.id)
        assert message.body is None
        assert send(message.id, 200) == []
    (failed,) = log(added.webhook.id)
    assert (failed.state, failed.attempts) == ("waiting", 1)
    assert failed.error == "The message could not be made (RuntimeError): no words"
    first, again = send(message.id, 500, 200)
    assert first[1] == again[1], "every try sends the same"
    assert json.loads(first[1])["data"]["sentence"] == drive.final_verdict(job_id)["sentence"]


def test_a_message_tells_of_the_verdict_at_its_event() -> None:
    added = add("verdict").webhook.id
    drive.run_to_end(drive.submit(drive.request(seeds=3)))
    told = log(added)[::-1]
    for each in told:
        send(each.id, 200)
    with reading() as session:
        verdicts = session.scalars(select(Event.data).where(Event.kind == "verdict").order_by(Event.id)).all()
    said = [each.body["data"]["verdict"]["kind"] for each in log(added)[::-1] if each.body]
    assert said == [each["kind"] for each in verdicts]
    assert len(said) > 1


def test_gone_ends_the_webhook_until_it_has_a_new_secret() -> None:
    added, other = add(), add()
    gone, waits, elsewhere = (send_test(each.webhook.id).id for each in (added, added, other))
    send(gone, 410)
    done = {each.id: each for each in log(added.webhook.id)}
    assert {each.state for each in done.values()} == {"failed"}
    assert (done[waits].attempts, done[waits].error) == (0, "The receiver answered 410 to another message.")
    assert done[waits].finished_at is not None
    assert send(waits, 200) == []
    assert [(each.id, each.state) for each in log(other.webhook.id)] == [(elsewhere, "waiting")]
    drive.cancel(drive.submit())
    assert len(log(added.webhook.id)) == 2
    with transaction() as session:
        renewed = service.renew(session, added.webhook.id)
    assert (renewed.webhook.active, renewed.secret == added.secret) == (True, False)
    ((_, body, headers),) = send(send_test(added.webhook.id).id, 200)
    Receiver(renewed.secret).verify(body, headers)


def test_several_messages_that_are_answered_gone_at_once_wait_for_no_other() -> None:
    added, all_sent = add().webhook.id, threading.Barrier(THREADS)

    def post(_url: str, _body: str, _headers: dict[str, str]) -> int:
        all_sent.wait(60.0)
        return 410

    for _ in range(3):
        messages = [send_test(added).id for _ in range(THREADS)]
        with ThreadPoolExecutor(THREADS) as threads:
            tries = [threads.submit(sending.send, each.removeprefix("msg_"), post) for each in messages]
        for each in tries:
            each.result()
        done = {each.id: each for each in log(added)}
        assert [(done[each].state, done[each].status) for each in messages] == [("failed", 410)] * THREADS


@pytest.mark.parametrize(("status", "state", "error"), [
    (200, "delivered", None),
    (500, "failed", "The receiver answered 410 to another message."),
])  # fmt: skip
def test_a_message_that_arrives_while_another_is_answered_gone_is_delivered(
    status: int, state: str, error: str | None
) -> None:
    added = add().webhook.id
    first, gone = send_test(added).id, send_test(added).id

    def post(_url: str, _body: str, _headers: dict[str, str]) -> int:
        send(gone, 410)
        return status

    sending.send(first.removeprefix("msg_"), post)
    (row,) = (each for each in log(added) if each.id == first)
    assert (row.state, row.error) == (state, error)


@ON_SQLITE
def test_a_query_fault_of_one_message_counts_as_its_try(monkeypatch: pytest.MonkeyPatch) -> None:
    added = add()
    drive.cancel(drive.submit())
    (message,) = log(added.webhook.id)
    faults: dict[str, DBAPIError] = {"wrong": DataError("SELECT", {}, Exception("out of range"))}
    faults["away"] = OperationalError("SELECT", {}, Exception("no route"))

    def fail(*_arguments: object) -> str:
        raise faults[kind]

    monkeypatch.setattr(sending, "body_of", fail)
    kind = "wrong"
    assert send(message.id, 200) == []
    (now,) = log(added.webhook.id)
    assert (now.attempts, now.state) == (1, "waiting")
    assert (now.error or "").startswith("The message could not be made (DataError)")
    kind = "away"
    with pytest.raises(OperationalError):
        send(message.id, 200)


@ON_SQLITE
def test_a_redirect_and_an_address_that_is_refused_are_said() -> None:
    added = add()
    message = send_test(added.webhook.id).id
    send(message, 302, Refused("10.0.0.1 is not a public address."))
    (now,) = log(added.webhook.id)
    assert (now.status, now.error, now.state) == (None, "10.0.0.1 is not a public address.", "waiting")


@ON_SQLITE
@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.example/", "https://", "a.example", "https://user:word@a.example/", "https://a.example/#x",
        "http://localhost:8000/", "http://[::1]/", "http://169.254.169.254/latest", "https://a b/", "http://a:99999/",
    ],
)  # fmt: skip
def test_an_address_that_cannot_be_is_refused_at_once(url: str) -> None:
    with pytest.raises(Rejected, match=r"^url: "):
        add(url=url)


@ON_SQLITE
def test_removing_takes_its_messages_along() -> None:
    added = add().webhook.id
    message = send_test(added).id
    with transaction() as session:
        service.remove(session, added)
        with pytest.raises(NotFound):
            service.remove(session, added)
    assert send(message, 200) == []


@ON_SQLITE
def test_settled_messages_are_forgotten_after_a_while() -> None:
    added = add().webhook.id
    old, waits = send_test(added).id, send_test(added).id
    send(old, 200)
    with transaction() as session:
        repository.purge(session, before=utc_now() + timedelta(seconds=1), limit=10)
    assert [each.id for each in log(added)] == [waits]
