"""A real server process: it starts, streams, and ends at once when it is told to, open streams or not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.servers import free_port

PATIENCE_SECONDS = 300
REQUEST = {"student": "cifar/resnet8w4", "dataset": "digits", "teachers": ["cifar/resnet20"], "budget": {"promote": 1}}


@contextmanager
def server(migrated_url: str, home: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    port = free_port()
    environment = {**os.environ, "DPK_HOME": str(home), "DPK_DATABASE_URL": migrated_url, "DPK_PORT": str(port)}
    with subprocess.Popen([sys.executable, "-m", "service"], env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            base = f"http://127.0.0.1:{port}"
            deadline = time.monotonic() + PATIENCE_SECONDS
            while not _answers(f"{base}/readyz"):
                assert process.poll() is None, "the server has ended"
                assert time.monotonic() < deadline, "the server does not answer"
                time.sleep(0.1)
            yield base, process
        finally:
            if process.poll() is None:
                process.kill()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.parametrize(
    ("migrated_url", "number"),
    [("sqlite", signal.SIGTERM), pytest.param("postgres", signal.SIGINT, marks=pytest.mark.servers)],
    indirect=["migrated_url"],
)
def test_an_open_stream_does_not_hold_up_the_end(migrated_url: str, tmp_path: Path, number: signal.Signals) -> None:
    with server(migrated_url, tmp_path / "home") as (base, process):
        job = httpx.post(f"{base}/selection-jobs", json=REQUEST).json()
        received: list[str] = []
        begun = threading.Event()

        def follow() -> None:
            with httpx.stream("GET", base + job["links"]["events"], timeout=PATIENCE_SECONDS) as response:
                for line in response.iter_lines():
                    received.append(line)
                    if line == "event: created":
                        begun.set()

        follower = threading.Thread(target=follow)
        follower.start()
        assert begun.wait(PATIENCE_SECONDS)
        process.send_signal(number)
        assert process.wait(PATIENCE_SECONDS) == 0
        follower.join(PATIENCE_SECONDS)
        assert not follower.is_alive()
        assert "event: created" in received
