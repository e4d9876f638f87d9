"""An export to a real MLflow server, installed from its package into an environment of its own.

Its pins and ours exclude each other, so it cannot stand beside the project's libraries; and installing and starting it
takes a minute or two, so it is a test of its own (`make test-mlflow`).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from client.mlflow import JOB_TAG, RUN_TAG, Mlflow
from service.job_runs.examples import RUN_DETAILS, RUN_ID
from service.job_runs.schemas import JobRunDetails
from tests.servers import free_port
from tests.unit.web import sample

PACKAGE = "mlflow==3.17.2"
PATIENCE_SECONDS = 600


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the server answers."""
    folder = tmp_path_factory.mktemp("mlflow")
    uv = Path(sys.executable).parent / "uv"
    python = folder / "environment" / "bin" / "python"
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder / "environment"], check=True)
    subprocess.run([uv, "pip", "install", "--quiet", "--python", python, PACKAGE], check=True)
    port = free_port()
    store = ("--backend-store-uri", f"sqlite:///{folder / 'store.db'}", "--artifacts-destination", str(folder))
    command = [str(python), "-m", "mlflow", "server", *store, "--port", str(port), "--workers", "1"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT, cwd=folder)
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not _answers(f"http://127.0.0.1:{port}/health"):
            assert process.poll() is None, (folder / "log").read_text()[-3000:]
            assert time.monotonic() < deadline, (folder / "log").read_text()[-3000:]
            time.sleep(0.5)  # it gives no signal when it is up
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False, timeout=5).is_success
    except httpx.HTTPError:
        return False


def test_it_takes_a_job_once_and_gives_it_back(address: str) -> None:
    server = Mlflow(address)
    runs = [JobRunDetails.model_validate(RUN_DETAILS)]
    assert server.export(sample.leaderboard(), runs, "teachers") == 2
    assert server.export(sample.leaderboard(), runs, "teachers") == 0, "what is there is left alone"
    server.close()

    with httpx.Client(base_url=f"{address}/api/2.0/mlflow/", trust_env=False, timeout=PATIENCE_SECONDS) as asked:
        experiment = asked.get("experiments/get-by-name", params={"experiment_name": "teachers"}).json()["experiment"]
        found = asked.post("runs/search", json={"experiment_ids": [experiment["experiment_id"]]}).json()["runs"]
        parent, child = sorted(found, key=lambda run: RUN_TAG in _pairs(run, "tags"))
        assert _pairs(parent, "tags")[JOB_TAG] == sample.JOB_ID
        assert _pairs(child, "tags")[RUN_TAG] == RUN_ID
        assert _pairs(child, "tags")["mlflow.parentRunId"] == parent["info"]["run_id"]
        assert {run["info"]["status"] for run in found} == {"FINISHED"}
        assert _pairs(child, "params")["training.dataset"] == "digits"
        assert _pairs(child, "metrics")["final.test_score"] == pytest.approx(0.947)
        wanted = {"run_id": child["info"]["run_id"], "metric_key": "validation_score"}
        curve = asked.get("metrics/get-history", params=wanted).json()["metrics"]
        assert {point["step"]: point["value"] for point in curve}[1] == pytest.approx(0.31)


def _pairs(run: dict[str, Any], part: str) -> dict[str, Any]:
    return {row["key"]: row["value"] for row in run["data"].get(part, [])}
