"""Watching a job through absences of the server, on a clock of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import httpx
import pytest

from client import watching
from client.connection import NOT_FOUND
from client.errors import ForeignAnswer, NothingFound, ServerUnreachable, TimeIsOver
from client.sdk import Client
from service.wire.jobs import Job
from tests.unit.web import sample

RUNNING = sample.job("running", "exploring")
REFUSED = httpx.ConnectError("refused")
PAGE = httpx.Response(200, text="<html>We are back soon</html>")
Answer = Job | httpx.Response | Exception


class Clock:
    """Time that passes only in sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Stands in for the clock of `client.watching`."""
    clock = Clock()
    monkeypatch.setattr(watching, "time", clock)
    return clock


def _client(answers: Iterable[Answer]) -> Client:
    left = iter(answers)

    def handle(_request: httpx.Request) -> httpx.Response:
        match next(left):
            case Job() as job:
                return httpx.Response(200, text=job.model_dump_json())
            case httpx.Response() as response:
                return response
            case error:
                raise error

    return Client("http://server", transport=httpx.MockTransport(handle), pause=0)


def _repeated(answer: Callable[[], Answer], times: int) -> Iterator[Answer]:
    for _ in range(times):
        yield answer()


@pytest.mark.parametrize(
    "absence",
    [
        lambda: REFUSED,
        lambda: PAGE,
        *(lambda status=status: httpx.Response(status, text="<html>") for status in (404, 500, 502, 503, 504)),
    ],
)
def test_a_minute_without_the_server_is_survived_and_told_once(clock: Clock, absence: Callable[[], Answer]) -> None:
    notices: list[str] = []
    with _client([RUNNING, *_repeated(absence, 60), RUNNING, sample.job()]) as client:
        states = [job.state for job in client.watch("1", notice=notices.append)]
    assert states == ["running", "running", "finished"]
    assert [sentence.partition(";")[0] for sentence in notices] == [
        "The server at http://server does not answer", "The server at http://server answers again.",
    ]  # fmt: skip
    assert clock.now >= 60


def test_a_short_absence_is_not_told(clock: Clock) -> None:
    notices: list[str] = []
    with _client([RUNNING, REFUSED, REFUSED, sample.job()]) as client:
        list(client.watch("1", notice=notices.append))
    assert notices == []


def test_the_patience_has_an_end(clock: Clock) -> None:
    with (
        _client([RUNNING, *_repeated(lambda: REFUSED, 1000)]) as client,
        pytest.raises(
            ServerUnreachable, match=r"has not answered for 2 min 00 s\. The job is stored\. Follow it again"
        ),
    ):
        list(client.watch("1"))
    assert 120 <= clock.now <= 123


def test_each_absence_has_its_own_patience(clock: Clock) -> None:
    away = list(_repeated(lambda: REFUSED, 100))
    with _client([RUNNING, *away, RUNNING, *away, sample.job()]) as client:
        assert [job.state for job in client.watch("1")][-1] == "finished"


def test_what_must_be_tended_is_tended_while_away(clock: Clock) -> None:
    tended: list[float] = []
    with _client([RUNNING, *_repeated(lambda: REFUSED, 5), sample.job()]) as client:
        list(client.watch("1", while_away=lambda: tended.append(clock.now)))
    assert len(tended) == 5


def test_a_server_that_is_away_at_first_is_waited_for(clock: Clock) -> None:
    notices: list[str] = []
    with _client([*_repeated(lambda: REFUSED, 10), sample.job()]) as client:
        assert [job.state for job in client.watch("1", notice=notices.append)] == ["finished"]
    assert notices[0].startswith("Nothing answers at http://server; start one with `dpk serve`")
    with _client(_repeated(lambda: REFUSED, 1000)) as client, pytest.raises(ServerUnreachable, match="Nothing answers"):
        list(client.watch("1"))


def test_another_program_at_the_address_is_not_waited_for(clock: Clock) -> None:
    with _client(_repeated(lambda: PAGE, 1000)) as client, pytest.raises(ForeignAnswer):
        list(client.watch("1"))
    assert clock.now == 0


def test_a_job_that_is_gone_is_not_waited_for(clock: Clock) -> None:
    gone = httpx.Response(404, json={"type": NOT_FOUND, "title": "T", "status": 404, "detail": "Gone.", "errors": []})
    with _client([RUNNING, gone]) as client, pytest.raises(NothingFound):
        list(client.watch("1"))


@pytest.mark.parametrize("answer", [lambda: RUNNING, lambda: REFUSED])
def test_the_time_that_is_given_ends_it(clock: Clock, answer: Callable[[], Answer]) -> None:
    seen: list[Job] = []
    with (
        _client([RUNNING, *_repeated(answer, 1000)]) as client,
        pytest.raises(TimeIsOver, match=r"^The job is running after 10 s; it goes on\. Follow it again: dpk watch "),
    ):
        seen.extend(client.watch("1", timeout=10))
    assert clock.now == 10
