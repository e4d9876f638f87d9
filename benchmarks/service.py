"""How quickly finished answers are served, beside a bare FastAPI endpoint that sends an equal body.

    python -m benchmarks.service [--seconds N] [--jobs N]

A real Postgres; the service and the bare endpoint each in a uvicorn process of their own, one worker. Few clients ask
as fast as they are answered, in turns of both servers, so that both meet the same machine. Measured with 10 finished
jobs in the store and with as many as `--jobs` says, all of them answers to one question.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks import record
from benchmarks.many_jobs import copy_job
from tests import servers

CLIENTS = 4
TURNS = 5
"""Of each server; medians count."""
FEW = 10
LEAST_SHARE = {"board": 0.5, "best teacher": 0.5, "304": 0.8}
"""Of the bare endpoint's requests a second."""
MOST_P99 = 5.0
MOST_GROWTH = 1.3
BEST_TEACHER = "/best-teacher?student=cifar/resnet8w4&dataset=digits"


class Client(threading.Thread):
    """Asks for one address over one connection until the time is over, and notes how long each answer took."""

    def __init__(self, port: int, path: str, tag: str | None, seconds: float) -> None:
        super().__init__()
        known = f"If-None-Match: {tag}\r\n" if tag else ""
        self._request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{known}\r\n".encode()
        self._port, self._seconds = port, seconds
        self.times: list[float] = []
        self.status = b""

    def run(self) -> None:
        with socket.create_connection(("127.0.0.1", self._port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            end = time.perf_counter() + self._seconds
            while (began := time.perf_counter()) < end:
                connection.sendall(self._request)
                self.status = _read(connection)
                self.times.append(time.perf_counter() - began)


def _read(connection: socket.socket) -> bytes:
    """Reads one answer; gives its status."""
    received = b""
    while (at := received.find(b"\r\n\r\n")) < 0:
        received += connection.recv(65536)
    head = received[:at].lower()
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:")), 0)
    missing = length - (len(received) - at - 4)
    while missing > 0:
        missing -= len(connection.recv(min(missing, 1 << 20)))
    return head[9:12]


def ask(port: int, path: str, seconds: float, tag: str | None = None) -> tuple[float, float]:
    """Requests a second and the 99th percentile of the time that one took."""
    clients = [Client(port, path, tag, seconds) for _ in range(CLIENTS)]
    began = time.perf_counter()
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    passed = time.perf_counter() - began
    wanted = b"304" if tag else b"200"
    assert all(client.status == wanted for client in clients), (path, [client.status for client in clients])
    times = sorted(each for client in clients for each in client.times)
    return len(times) / passed, times[int(0.99 * len(times))]


@contextlib.contextmanager
def serving(application: str, environment: dict[str, str]) -> Iterator[int]:
    """The port at which uvicorn serves it."""
    port = servers.free_port()
    command = [sys.executable, "-m", "uvicorn", application, "--port", str(port), "--log-level", "warning"]
    process = subprocess.Popen([*command, "--no-access-log"], env={**os.environ, **environment})  # noqa: S603 - our own
    try:
        for _ in range(300):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.2)
        yield port
    finally:
        process.terminate()
        process.wait(30)


def finished_job(*teachers: str, **budget: Any) -> str:
    """A finished job on the database of this process, with its board stored."""
    from tests.contract import job_driver as drive

    job_id = drive.submit(drive.request(*teachers, **budget))
    drive.run_to_end(job_id)
    drive.board(job_id)
    return job_id


def fetch(port: int, path: str) -> tuple[bytes, str]:
    """An answer's body and tag."""
    import httpx

    answer = httpx.get(f"http://127.0.0.1:{port}{path}", timeout=60)
    answer.raise_for_status()
    return answer.content, answer.headers["etag"]


def measure(port: int, folder: Path, job_id: str, seconds: float) -> dict[str, dict[str, float]]:
    """Every answer beside the bare one, in turns."""
    board = f"/selection-jobs/{job_id}/leaderboard"
    found: dict[str, dict[str, float]] = {}
    for name, path in (("board", board), ("best teacher", BEST_TEACHER), ("304", board)):
        body, tag = fetch(port, path)
        sent = b"" if name == "304" else body
        (folder / "body").write_bytes(sent)
        with serving("benchmarks.bare:app", {"BODY": str(folder / "body")}) as bare:
            known = tag if name == "304" else None
            asked = {"service": partial(ask, port, path, seconds, known), "bare": partial(ask, bare, "/", seconds)}
            turns = [{each: function() for each, function in asked.items()} for _ in range(TURNS)]
        rate = {each: statistics.median(turn[each][0] for turn in turns) for each in asked}
        p99 = {each: statistics.median(turn[each][1] for turn in turns) for each in asked}
        found[name] = {
            "bytes": len(sent), "requests a second": round(rate["service"]), "bare": round(rate["bare"]),
            "share": round(statistics.median(turn["service"][0] / turn["bare"][0] for turn in turns), 3),
            "p99 ms": round(1000 * p99["service"], 2), "bare p99 ms": round(1000 * p99["bare"], 2),
            "p99 over bare": round(p99["service"] / p99["bare"], 2),
        }  # fmt: skip
        print(name, found[name], flush=True)
    return found


def targets(few: dict[str, dict[str, float]], many: dict[str, dict[str, float]], jobs: int) -> list[dict[str, Any]]:
    """How it stands; shares count upside down, as targets are met from below."""
    found = []
    for name, least in LEAST_SHARE.items():
        worst = max(1 / few[name]["share"], 1 / many[name]["share"])
        found.append(record.target(f"{name}: the bare endpoint's requests a second over ours", worst, 1 / least, "×"))
        if name != "304":
            worst = max(few[name]["p99 over bare"], many[name]["p99 over bare"])
            found.append(record.target(f"{name}: p99 over the bare endpoint's", worst, MOST_P99, "×"))
        growth = few[name]["share"] / many[name]["share"]
        found.append(record.target(f"{name}: slower with {jobs} jobs than with {FEW}", growth, MOST_GROWTH, "×"))
    return found


def main() -> None:
    """Runs it and writes `results/service.json`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="of one turn")
    parser.add_argument("--jobs", type=int, default=10_000, help="in the full store")
    chosen = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as home, servers.postgres_server() as server,
        servers.fresh_database(server) as url,
    ):  # fmt: skip
        os.environ |= {"DPK_DATABASE_URL": url, "DPK_HOME": home}
        from migrations.commands import upgrade
        from service.database.session import engine

        upgrade()
        # The copies are of a smaller job under the same protocol: they make the store large, and are not read.
        job_id, copied = finished_job(), finished_job("cifar/resnet20", seeds=1, promote=1)
        stored: dict[int, dict[str, dict[str, float]]] = {}
        before = 1  # copies, beside the two jobs
        for jobs in (FEW, chosen.jobs):
            for first in range(before, jobs - 1, 1000):
                with engine().begin() as connection:
                    copy_job(connection, copied, first, min(first + 999, jobs - 2))
            before = jobs - 1
            print(f"{jobs} jobs", flush=True)
            with serving("service.app:app", {}) as port:
                stored[jobs] = measure(port, Path(home), job_id, chosen.seconds)
        engine().dispose()
    few, many = stored[FEW], stored[chosen.jobs]
    result = {
        "machine": record.machine(torch.device("cpu")),
        "load": round(os.getloadavg()[0], 1),
        "versions": record.versions()
        | {name: importlib.metadata.version(name) for name in ("fastapi", "uvicorn", "sqlalchemy", "psycopg")},
        "clients": CLIENTS, "turns": TURNS, "seconds": chosen.seconds,
        "jobs": {str(jobs): rows for jobs, rows in stored.items()},
        "targets": targets(few, many, chosen.jobs),
    }  # fmt: skip
    print(record.write("service", result))
    for each in result["targets"]:
        print("met   " if each["met"] else "missed", each["name"], each["value"], "of", each["target"])


if __name__ == "__main__":
    main()
