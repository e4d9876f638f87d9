"""The whole system as real processes: API, Celery workers and their runners, with short leases and intervals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import ColumnElement, Engine, select
from sqlalchemy.orm import Session

from service.database.session import open_engine
from service.database.tables import Run
from tests.servers import free_port

ROOT = Path(__file__).parents[2]

JOB: dict[str, Any] = {
    "student": "cifar/resnet8w4",
    "dataset": "digits",
    "teachers": ["cifar/resnet8w8", "cifar/resnet14w8"],
    "seeds": 2,
    "budget": {
        "epochs": 3,
        "rungs": [1, 3],
        "policy": "halving",
        "promote": 1,
        "audit": 0,
        "teacher_epochs": 8,
        "batch_size": 64,
    },
}
"""Small, and yet its teachers are trained long enough to be interrupted at leisure."""

PATIENCE_SECONDS = 900.0
"""For anything that is waited for: nothing here takes a minute, but the machine may be overloaded."""
PATIENT = pytest.mark.timeout(2 * PATIENCE_SECONDS)

SHORT = {
    "DPK_SLOTS": "1",
    "DPK_DEVICE": "cpu",
    "DPK_LEASE_SECONDS": "6",
    "DPK_SWEEP_SECONDS": "0.5",
    "DPK_HEARTBEAT_SECONDS": "0.25",
    "DPK_CHECKPOINT_SECONDS": "0.25",
    "DPK_RETRY_SECONDS": "0.1",
    "DPK_STOP_GRACE_SECONDS": "60",
    "OMP_NUM_THREADS": "1",
}


class System:
    """A home folder, a database, a queue, and the processes that use them."""

    def __init__(self, home: Path, *, database_url: str = "", broker_url: str = "", **environment: object) -> None:
        self.home = home
        self.workers: list[psutil.Process] = []
        self._port = free_port()
        own = {
            "DPK_HOME": home, "DPK_DATABASE_URL": database_url, "DPK_BROKER_URL": broker_url, "DPK_PORT": self._port,
            **environment,
        }  # fmt: skip
        self.environment = {**os.environ, **SHORT, **{name: str(value) for name, value in own.items()}}
        self._processes: list[subprocess.Popen[bytes]] = []
        home.mkdir(parents=True)
        subprocess.run([sys.executable, "-m", "migrations", "upgrade"], check=True, cwd=ROOT, env=self.environment)
        self.engine: Engine = open_engine(database_url or f"sqlite:///{home / 'dpk.sqlite'}")

    @property
    def address(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._port}"

    def start_api(self) -> None:
        """Returns when it answers."""
        process = self.start("service")
        self.wait_for(lambda: process.poll() is not None or self.answers())
        assert process.poll() is None, self.logs()

    def start_worker(self, *, queues: str = "control,runs") -> psutil.Process:
        """A worker process; returns at once."""
        self.workers.append(psutil.Process(self.start("worker", "--queues", queues).pid))
        return self.workers[-1]

    def submit(self, request: dict[str, Any] = JOB) -> str:
        """The id of the accepted job."""
        return str(self.call("POST", "/selection-jobs", request)["id"])

    def job(self, job_id: str) -> dict[str, Any]:
        return self.call("GET", f"/selection-jobs/{job_id}")

    def wait_until(self, job_id: str, state: str) -> None:
        """Waits for a final state; any other final state is a failure. Looks seldom: the processor is for trainings."""
        final = ("finished", "failed", "cancelled")
        self.wait_for(lambda: self.job(job_id)["state"] in final, pause=0.5)
        job = self.job(job_id)
        assert job["state"] == state, (job["failure"], self.logs())

    def leaderboard(self, job_id: str) -> dict[str, Any]:
        return self.call("GET", f"/selection-jobs/{job_id}/leaderboard")

    def catch(self, worker: psutil.Process, *conditions: ColumnElement[bool]) -> tuple[str, psutil.Process]:
        """A run with a checkpoint behind it and half of its training before it, and its runner, suspended right there.

        With less before it, it might end before it is reached by what the test does next.
        """
        middle = (Run.state == "running", Run.step > 0, Run.checkpoint.is_not(None), *conditions)
        caught: list[tuple[str, psutil.Process]] = []

        def try_once() -> bool:
            for run_id in self.runs(*middle):
                for runner in runners_of(worker):
                    runner.suspend()
                    time.sleep(1.0)  # the worker reads what the runner had said before
                    run = self.run(run_id)
                    if run.state == "running" and 2 * run.step < run.total_steps:
                        caught.append((run_id, runner))
                        return True
                    runner.resume()
            return False

        self.wait_for(try_once, pause=0.2)
        return caught[0]

    def runs(self, *conditions: ColumnElement[bool]) -> Sequence[str]:
        """Ids of runs, read from the database itself."""
        with Session(self.engine) as session:
            return session.scalars(select(Run.id).where(*conditions)).all()

    def run(self, run_id: str) -> Run:
        with Session(self.engine) as session:
            return session.get_one(Run, run_id)

    def call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """One request; raises for an error status."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(f"{self.address}{path}", data, headers, method=method)  # noqa: S310 - our own address
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as response:  # noqa: S310 - our own address
            answer: dict[str, Any] = json.load(response)
            return answer

    def page(self, path: str) -> str:
        """A page as HTML."""
        with urllib.request.urlopen(f"{self.address}{path}", timeout=PATIENCE_SECONDS) as response:  # noqa: S310 - our own address
            return str(response.read().decode())

    def wait_for(self, condition: Callable[[], object], pause: float = 0.05) -> None:
        """Looks every `pause` seconds. Fails with every process's log when it takes too long."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, self.logs()
            time.sleep(pause)  # other processes, which give no signal, need the processor

    def logs(self) -> str:
        """What the processes wrote."""
        texts = [f"--- {path.name}\n{path.read_text()[-3000:]}" for path in sorted(self.home.glob("*.log"))]
        return "\n".join(texts)

    def close(self) -> None:
        """Ends every process that is still there."""
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self._processes:
            try:
                process.wait(timeout=PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.engine.dispose()

    def start(self, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Starts `python -m module …` with this system's settings; returns at once."""
        log = self.home / f"{len(self._processes)}-{module}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments], cwd=ROOT, env=self.environment, stdout=output,
                stderr=subprocess.STDOUT,
            )  # fmt: skip
        self._processes.append(process)
        return process

    def answers(self) -> bool:
        """Whether the API is up."""
        try:
            self.call("GET", "/healthz")
        except (urllib.error.URLError, ConnectionError):
            return False
        return True


def runners_of(worker: psutil.Process) -> list[psutil.Process]:
    """The runner processes of a worker."""
    return [child for child in worker.children() if "dpk_core.runner" in child.cmdline()]


def gone(process: psutil.Process) -> bool:
    """Whether the process is over, even where nobody has collected it yet."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def results(leaderboard: dict[str, Any]) -> dict[str, Any]:
    """Everything on a leaderboard that must not depend on where, how fast or how often interrupted it was made."""
    rows = [_timeless(row) for row in leaderboard["rows"]]
    curves = {
        f"{curve['label']} {curve['purpose']} {curve['seed']}": curve["points"] for curve in leaderboard["curves"]
    }
    decided = {name: leaderboard[name] for name in ("verdict", "correlations", "decisions")}
    return {"rows": rows, "curves": curves, **decided}


OF_ONE_SYSTEM = ("seconds", "candidate_id", "run_id", "teacher_run_id")


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _timeless(each) for name, each in value.items() if name not in OF_ONE_SYSTEM}
    return [_timeless(each) for each in value] if isinstance(value, list) else value
