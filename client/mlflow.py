"""Writes a job to an MLflow tracking server by its REST API: a parent run for the job, a child for each training.

Needs no package of MLflow's. What is there already is left alone, so an export that was cut off can be repeated. The
server is named by --mlflow; `MLFLOW_TRACKING_TOKEN`, or `MLFLOW_TRACKING_USERNAME` and `…_PASSWORD`, log in.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import httpx

from client.address import server_address, shown
from client.errors import ClientError, InputFault
from client.transport import transport_to
from service.job_runs.schemas import JobRunDetails
from service.wire.boards import Leaderboard, Row

JOB_TAG, RUN_TAG = "dpk.job", "dpk.run"
MOST_METRICS, MOST_PARAMETERS, LONGEST_VALUE = 1000, 100, 500
"""Of one request, as MLflow's API limits them."""
_STATES = {"finished": "FINISHED", "failed": "FAILED", "cancelled": "KILLED", "running": "RUNNING"}
SECONDS = 30.0


class MlflowFault(ClientError):
    """The MLflow server cannot be reached, or refuses."""


class Mlflow:
    """A tracking server."""

    def __init__(self, address: str, *, transport: httpx.BaseTransport | None = None) -> None:
        """Raises InputFault for what is no address."""
        url = server_address(address)
        self.address = shown(url)
        if transport is None:
            transport, _ = transport_to(url, proxies=True)
        self._http = httpx.Client(
            base_url=url, transport=transport, trust_env=False, timeout=SECONDS, auth=_auth(), headers=_token()
        )

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def export(self, board: Leaderboard, runs: Sequence[JobRunDetails], experiment: str) -> int:
        """Writes what is not there yet; gives the number of runs that were written. Raises MlflowFault."""
        place = self._experiment(experiment)
        known = self._known(place, board.job.id)
        parent = known.get(board.job.id)
        written = 0
        if parent is None:
            parent = self._write_job(place, board)
            written += 1
        for run in runs:
            if run.id not in known and run.state in _STATES and run.state != "running":
                self._write_run(place, parent, board, run)
                written += 1
        return written

    def _experiment(self, name: str) -> str:
        answer = self._send("GET", "experiments/get-by-name", params={"experiment_name": name}, missing=True)
        if answer is None:
            answer = {"experiment": self._ask("experiments/create", {"name": name})}
        return str(answer["experiment"]["experiment_id"])

    def _known(self, experiment: str, job_id: str) -> dict[str, str]:
        """MLflow's ids of what was written of this job and closed, by ours."""
        found: dict[str, str] = {}
        asked: dict[str, Any] = {
            "experiment_ids": [experiment], "filter": f"tags.`{JOB_TAG}` = '{job_id}'", "max_results": 1000,
        }  # fmt: skip
        while True:
            page = self._ask("runs/search", asked)
            for run in page.get("runs", []):
                tags = {tag["key"]: tag["value"] for tag in run["data"].get("tags", [])}
                if run["info"]["status"] != "RUNNING":
                    found[tags.get(RUN_TAG, job_id)] = run["info"]["run_id"]
            if not page.get("next_page_token"):
                return found
            asked["page_token"] = page["next_page_token"]

    def _write_job(self, experiment: str, board: Leaderboard) -> str:
        job, request = board.job, board.job.request
        tags = {JOB_TAG: job.id, "dpk.verdict": job.verdict or job.headline}
        run = self._create(experiment, f"{request.student} on {request.dataset}", tags, job.started_at)
        metrics = [(f"{name}.{row.label}", value, 0) for row in board.rows for name, value in _row_metrics(row)]
        self._log(run, metrics, _flat(request.model_dump(mode="json")), job.finished_at)
        self._end(run, job.state, job.finished_at)
        return run

    def _write_run(self, experiment: str, parent: str, board: Leaderboard, run: JobRunDetails) -> None:
        taught = "" if run.purpose == "teacher" else f" under {run.teacher or 'no teacher'}"
        tags = {
            JOB_TAG: board.job.id, RUN_TAG: run.id, "mlflow.parentRunId": parent, "dpk.purpose": run.purpose,
            "dpk.teacher": run.teacher or "", **({"dpk.failure": run.failure} if run.failure else {}),
        }  # fmt: skip
        made = self._create(experiment, f"{run.model}{taught}, seed {run.seed}", tags, run.started_at)
        metrics = [(name, value, point.epoch) for point in run.points for name, value in point.values.items()]
        ends = {"validation_score": run.validation_score, "test_score": run.test_score, "seconds": run.seconds}
        metrics += [(f"final.{name}", value, run.epochs) for name, value in ends.items() if value is not None]
        self._log(made, metrics, _flat(run.spec), run.finished_at)
        self._end(made, run.state, run.finished_at)

    def _create(self, experiment: str, name: str, tags: Mapping[str, str], start: datetime | None) -> str:
        body = {
            "experiment_id": experiment, "run_name": name, "start_time": _milliseconds(start),
            "tags": [{"key": key, "value": value} for key, value in tags.items()],
        }  # fmt: skip
        return str(self._ask("runs/create", body)["run"]["info"]["run_id"])

    def _log(
        self, run: str, metrics: Sequence[tuple[str, float, int]], parameters: Mapping[str, str], at: datetime | None
    ) -> None:
        stamp = _milliseconds(at)
        rows = [{"key": _key(key), "value": value, "timestamp": stamp, "step": step} for key, value, step in metrics]
        given = [{"key": _key(key), "value": value[:LONGEST_VALUE]} for key, value in parameters.items() if value]
        for start in range(0, len(rows), MOST_METRICS):
            self._ask("runs/log-batch", {"run_id": run, "metrics": rows[start : start + MOST_METRICS]})
        for start in range(0, len(given), MOST_PARAMETERS):
            self._ask("runs/log-batch", {"run_id": run, "params": given[start : start + MOST_PARAMETERS]})

    def _end(self, run: str, state: str, at: datetime | None) -> None:
        """Last of all: what is still RUNNING was cut off and is written anew."""
        self._ask("runs/update", {"run_id": run, "status": _STATES[state], "end_time": _milliseconds(at)})

    def _ask(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        answer = self._send("POST", path, json=body)
        assert answer is not None, "only a missing thing gives nothing"
        return answer

    def _send(self, method: str, path: str, *, missing: bool = False, **options: Any) -> dict[str, Any] | None:
        try:
            answer = self._http.request(method, f"/api/2.0/mlflow/{path}", **options)
            if missing and answer.status_code == httpx.codes.NOT_FOUND:
                return None
            document: dict[str, Any] = answer.json() if answer.content else {}
        except (httpx.RequestError, ValueError) as error:
            raise MlflowFault(f"No MLflow server answers at {self.address} ({error}); check --mlflow.") from None
        if not answer.is_success:
            said = document.get("message") or f"{answer.status_code} {answer.reason_phrase}"
            raise MlflowFault(f"The MLflow server at {self.address} refused {path}: {said}.")
        return document


def check_ended(board: Leaderboard) -> None:
    """Raises InputFault for a job that is still to end: MLflow keeps what it was given first."""
    if board.job.state not in ("finished", "failed", "cancelled"):
        raise InputFault(f"The job is {board.job.state}; export it to MLflow when it has ended (dpk watch).")


def _row_metrics(row: Row) -> Iterator[tuple[str, float]]:
    known = {
        "chance": row.chance, "full": None if row.full is None else row.full.mean,
        "test": None if row.test is None else row.test.mean, "gain": None if row.gain is None else row.gain.value,
        "teacher_accuracy": row.teacher_accuracy,
    }  # fmt: skip
    return ((name, value) for name, value in known.items() if value is not None)


def _auth() -> tuple[str, str] | None:
    user = os.environ.get("MLFLOW_TRACKING_USERNAME")
    return None if user is None else (user, os.environ.get("MLFLOW_TRACKING_PASSWORD", ""))


def _token() -> dict[str, str]:
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    return {} if token is None else {"Authorization": f"Bearer {token}"}


def _milliseconds(at: datetime | None) -> int:
    return 0 if at is None else int(1000 * at.timestamp())


def _key(text: str) -> str:
    """As MLflow takes keys."""
    return re.sub(r"[^\w./ -]", "_", text, flags=re.ASCII)


def _flat(document: Any, prefix: str = "") -> dict[str, str]:
    """The document's values by dotted name."""
    return dict(_leaves(document, prefix))


def _leaves(value: Any, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else key)
    elif value is not None:
        yield name, str(value)
