"""`dpk serve`, `worker` and `migrate`, and what `dpk demo` leaves on disk."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from client import server as server_commands
from client.demo import write_reports
from client.demo_job import DEMO_JOB
from client.sdk import Client
from service.wire.boards import Leaderboard
from tests.servers import free_port
from tests.unit.client.conftest import FakeServer, Outcome
from tests.unit.web import sample

Dpk = Callable[..., Outcome]


class TestServe:
    def test_prepares_the_store_serves_and_ends_everything_on_term(self, tmp_path: Path) -> None:
        port = free_port()
        process = subprocess.Popen(
            [sys.executable, "-m", "client.command", "serve", "--no-worker", "--port", str(port), "--home", tmp_path],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        with process, process.stdout:
            assert process.stdout.readline() == f"DPK Select is up at http://127.0.0.1:{port} (Ctrl-C ends it).\n"
            with Client(f"http://127.0.0.1:{port}") as client:
                assert client.jobs().jobs == []
            parts = psutil.Process(process.pid).children(recursive=True)
            assert parts
            process.terminate()
            assert process.wait() == 128 + signal.SIGTERM
        assert not any(part.is_running() and part.status() != psutil.STATUS_ZOMBIE for part in parts)

    def test_a_busy_port_is_one_sentence(self, dpk: Dpk, tmp_path: Path) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = str(taken.getsockname()[1])
            done = dpk("serve", "--port", port, "--home", str(tmp_path))
        assert done.code == 2
        assert done.err.startswith(f"Cannot listen on 127.0.0.1 port {port}")
        assert len(done.err.splitlines()) == 1
        assert list(tmp_path.iterdir()) == []

    def test_a_port_that_is_none_is_no_traceback(self, dpk: Dpk, tmp_path: Path) -> None:
        done = dpk("serve", "--port", "65536", "--home", str(tmp_path))
        assert done.code == 2
        assert "--port" in done.err
        assert list(tmp_path.iterdir()) == []

    def test_a_store_that_cannot_be_prepared_is_one_sentence(
        self, dpk: Dpk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DPK_DATABASE_URL", f"sqlite:///{tmp_path}")
        done = dpk("serve", "--port", "0", "--home", str(tmp_path))
        assert done.code == 2
        assert done.err.startswith("The database could not be prepared: ")
        assert "Traceback" not in done.err


class TestBecome:
    @pytest.mark.parametrize(
        ("typed", "run"),
        [
            (["worker"], ["-m", "worker", "--queues", "runs"]),
            (["worker", "--queues", "control"], ["-m", "worker", "--queues", "control"]),
            (["migrate"], ["-m", "migrations", "upgrade"]),
        ],
    )
    def test_the_command_becomes_the_process(
        self, dpk: Dpk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, typed: list[str], run: list[str]
    ) -> None:
        became: list[tuple[list[str], str]] = []

        def execve(_program: str, arguments: list[str], environment: dict[str, str]) -> None:
            became.append((arguments, environment["DPK_HOME"]))
            raise SystemExit(0)

        monkeypatch.setattr(server_commands.os, "execve", execve)
        assert dpk(*typed, "--home", str(tmp_path)).code == 0
        assert became == [([sys.executable, *run], str(tmp_path))]


class TestReports:
    def test_both_files_are_written(self, server: FakeServer, tmp_path: Path) -> None:
        server.answer(f"GET /selection-jobs/{sample.JOB_ID}/report", "<!doctype html>…")
        with Client(server.url) as client:
            document, page = write_reports(client, sample.leaderboard(), tmp_path / "reports")
        assert Leaderboard.model_validate_json(document.read_text()) == sample.leaderboard()
        assert document.name == f"{sample.JOB_ID}.json"
        assert page.read_text() == "<!doctype html>…"


def test_the_demo_asks_for_five_teachers_and_several_seeds() -> None:
    assert len(set(DEMO_JOB.teachers)) == 5
    assert DEMO_JOB.seeds >= 3
    assert DEMO_JOB.method.name == "dpk"
