"""The embedded queue under several producers and consumers."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty

import pytest
from celery import Celery

from service.outbox.broker import celery_configuration
from service.outbox.files import Channel
from service.settings import Settings


@pytest.fixture
def channel(configure: Callable[..., Settings]) -> Iterator[Callable[[], Channel]]:
    app = Celery("test", set_as_current=False)
    app.conf.update(celery_configuration(configure()))
    opened = []

    def make() -> Channel:
        opened.append(app.connection_for_write())
        return opened[-1].default_channel

    yield make
    for connection in opened:
        connection.release()
    app.close()


def drain(channel: Channel, queue: str) -> Iterator[dict[str, int]]:
    while True:
        try:
            yield channel._get(queue)
        except Empty:
            return


def test_first_in_first_out_and_each_queue_for_itself(channel: Callable[[], Channel]) -> None:
    one = channel()
    for number in range(5):
        one._put("runs", {"number": number})
        one._put("control", {"number": -number})
    assert [message["number"] for message in drain(one, "runs")] == [0, 1, 2, 3, 4]
    assert [message["number"] for message in drain(one, "control")] == [0, -1, -2, -3, -4]


def test_every_message_is_taken_whole_and_once(channel: Callable[[], Channel]) -> None:
    producers, consumers = [channel() for _ in range(2)], [channel() for _ in range(3)]
    taken: list[int] = []
    all_sent = threading.Event()

    def produce(channel: Channel, first: int) -> None:
        for number in range(first, first + 100):
            channel._put("runs", {"number": number, "padding": "x" * 20_000})

    def consume(channel: Channel) -> None:
        while not all_sent.is_set():
            taken.extend(message["number"] for message in drain(channel, "runs"))
        taken.extend(message["number"] for message in drain(channel, "runs"))

    sending = [threading.Thread(target=produce, args=(one, 100 * i)) for i, one in enumerate(producers)]
    taking = [threading.Thread(target=consume, args=(one,)) for one in consumers]
    for thread in sending + taking:
        thread.start()
    for thread in sending:
        thread.join()
    all_sent.set()
    for thread in taking:
        thread.join()
    assert sorted(taken) == list(range(200))


def test_what_is_still_being_written_is_no_message(channel: Callable[[], Channel], tmp_path: Path) -> None:
    one = channel()
    folder = Path(one.data_folder_in)
    (folder / "0_0.writing").write_text('{"half')
    one._put("runs", {"number": 1})
    assert [message["number"] for message in drain(one, "runs")] == [1]
    assert [json.loads(path.read_text()) for path in folder.glob("*.msg")] == []


def test_a_full_disk_leaves_no_half_written_message(
    channel: Callable[[], Channel], monkeypatch: pytest.MonkeyPatch
) -> None:
    full = channel()

    def refuse(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refuse)
        with pytest.raises(OSError, match="No space left"):
            full._put("control", {"n": 1})
    assert list(Path(full.data_folder_out).iterdir()) == []
