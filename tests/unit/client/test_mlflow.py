"""A job on an MLflow server, by the requests that its API documents."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from client.errors import InputFault
from client.mlflow import JOB_TAG, RUN_TAG, Mlflow, MlflowFault, check_ended
from service.job_runs.examples import RUN_DETAILS, RUN_ID
from service.job_runs.schemas import JobRunDetails
from tests.unit.web import sample

RUN = JobRunDetails.model_validate(RUN_DETAILS)


class Tracking:
    """As much of a tracking server as an export sees."""

    def __init__(self, job_id: str = sample.JOB_ID) -> None:
        self.job_id = job_id
        self.experiments: dict[str, str] = {}
        self.runs: dict[str, dict[str, Any]] = {}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        what = request.url.path.removeprefix("/api/2.0/mlflow/")
        body = json.loads(request.content) if request.content else {}
        if what == "experiments/get-by-name":
            found = self.experiments.get(request.url.params["experiment_name"])
            missing = {"error_code": "RESOURCE_DOES_NOT_EXIST"}
            return (
                httpx.Response(200, json={"experiment": {"experiment_id": found}})
                if found
                else httpx.Response(404, json=missing)
            )
        if what == "experiments/create":
            self.experiments[body["name"]] = "7"
            return httpx.Response(200, json={"experiment_id": "7"})
        if what == "runs/search":
            assert body["filter"] == f"tags.`{JOB_TAG}` = '{self.job_id}'"
            return httpx.Response(200, json={"runs": [self._view(run_id) for run_id in self.runs]})
        if what == "runs/create":
            run_id = f"m{len(self.runs)}"
            self.runs[run_id] = {**body, "status": "RUNNING", "metrics": [], "params": []}
            return httpx.Response(200, json={"run": {"info": {"run_id": run_id}}})
        run = self.runs[body.pop("run_id")]
        if what == "runs/update":
            run["status"] = body["status"]
        elif what == "runs/log-batch":
            assert len(body.get("metrics", [])) <= 1000
            assert len(body.get("params", [])) <= 100
            for name, rows in body.items():
                run[name] += rows
        return httpx.Response(200, json={})

    def _view(self, run_id: str) -> dict[str, Any]:
        run = self.runs[run_id]
        return {"info": {"run_id": run_id, "status": run["status"]}, "data": {"tags": run["tags"]}}


def export(server: Tracking, *runs: JobRunDetails) -> int:
    return Mlflow("mlflow:5000", transport=httpx.MockTransport(server)).export(sample.leaderboard(), runs, "mine")


def tags(run: dict[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in run["tags"]}


def test_a_job_is_a_parent_and_its_trainings_are_children() -> None:
    server = Tracking()
    assert export(server, RUN) == 2
    parent, child = server.runs.values()
    assert (tags(parent)[JOB_TAG], tags(child)[RUN_TAG]) == (sample.JOB_ID, RUN_ID)
    assert tags(child)["mlflow.parentRunId"] == "m0"
    assert [parent["status"], child["status"]] == ["FINISHED", "FINISHED"]
    metrics = {(row["key"], row["step"]): row["value"] for row in child["metrics"]}
    assert metrics["validation_score", 1] == 0.31
    assert metrics["final.test_score", 24] == 0.947
    assert {"key": "training.dataset", "value": "digits"} in child["params"]
    assert {row["key"] for row in parent["metrics"]} >= {
        f"chance.{row.label}" for row in sample.leaderboard().rows if row.chance
    }


def test_repeating_it_writes_what_is_missing_alone() -> None:
    server = Tracking()
    export(server)
    assert export(server, RUN) == 1
    assert export(server, RUN) == 0
    server.runs["m1"]["status"] = "RUNNING"  # as one that was cut off
    assert export(server, RUN) == 1


def test_many_epochs_are_sent_in_parts() -> None:
    points = [{"epoch": epoch, "values": {"validation_score": 0.5}} for epoch in range(2500)]
    server = Tracking()
    export(server, JobRunDetails.model_validate({**RUN_DETAILS, "points": points}))
    assert len(server.runs["m1"]["metrics"]) == 2503


def test_what_goes_wrong_is_one_sentence() -> None:
    refusing = Mlflow(
        "mlflow:5000", transport=httpx.MockTransport(lambda _: httpx.Response(403, json={"message": "No"}))
    )
    with pytest.raises(
        MlflowFault, match="The MLflow server at http://mlflow:5000 refused experiments/get-by-name: No"
    ):
        refusing.export(sample.leaderboard(), [], "mine")
    foreign = Mlflow("mlflow:5000", transport=httpx.MockTransport(lambda _: httpx.Response(200, text="<html>")))
    with pytest.raises(MlflowFault, match="No MLflow server answers at http://mlflow:5000"):
        foreign.export(sample.leaderboard(), [], "mine")
    with pytest.raises(InputFault, match="The job is running; export it to MLflow when it has ended"):
        check_ended(sample.leaderboard("exploring", state="running"))
