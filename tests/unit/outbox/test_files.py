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

from service.outbox import files
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


@pytest.mark.parametrize("broken", [b"", b'{"body": "', bytes(40), b"\xff"], ids=["empty", "half", "zeros", "no text"])
def test_a_message_that_cannot_be_read_is_passed_over(
    channel: Callable[[], Channel], caplog: pytest.LogCaptureFixture, broken: bytes
) -> None:
    """As a power cut may leave it; whatever is raised from here ends a worker."""
    one = channel()
    folder = Path(one.data_folder_in)
    (folder / "0_0.runs.msg").write_bytes(broken)
    one._put("runs", {"number": 1})
    assert [message["number"] for message in drain(one, "runs")] == [1]
    assert [record.args[0] for record in caplog.records if isinstance(record.args, tuple)] == ["0_0.runs.msg"]
    assert list(folder.iterdir()) == []


def test_a_message_is_on_the_disk_before_it_has_its_name(
    channel: Callable[[], Channel], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = channel()
    found: list[tuple[list[str], str]] = []

    def flush(handle: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{handle}"))
        found.append(([each.suffix for each in path.parent.iterdir()], path.read_text()))

    monkeypatch.setattr(os, "fsync", flush)
    one._put("runs", {"number": 1})
    assert found == [([".writing"], '{"number": 1}')]


def test_what_a_crash_left_is_removed_when_a_process_starts(
    configure: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = configure()
    celery_configuration(settings)
    waiting, *left = (settings.queue_folder / name for name in ("1_a.runs.msg", "0_a.writing", "0_b.runs.msg.c.taken"))
    for path in (waiting, *left):
        path.write_text("{}")
        os.utime(path, (0, 0))
    celery_configuration(settings)
    assert all(path.exists() for path in left), "another process may be about to write or read them"
    monkeypatch.setattr(files, "FORGOTTEN_SECONDS", -1.0)
    celery_configuration(settings)
    assert list(settings.queue_folder.iterdir()) == [waiting]


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
