"""No request holds one connection while it waits for another: where each takes one, as many as the pool holds would
wait for each other until the pool gives up. So each is answered out of a pool of a single connection."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from dpk_core import artifacts
from dpk_core.catalogue import own_models
from dpk_core.codec import to_json
from dpk_core.models.vet import vet
from service.app import create_app
from service.database.session import transaction
from service.database.tables import UploadedModel
from service.database.types import utc_now
from service.settings import Settings, settings
from tests.contract import job_driver as drive
from tests.unit.exported.networks import excited, forget_uploads

EPOCHS = {"epochs": 2, "rungs": [1, 2], "promote": 1, "audit": 0.0, "batch_size": 16}
LOCAL = {"Origin": "http://testserver"}


@pytest.fixture
def upload(embedded: Callable[..., Settings], tmp_path: Path) -> Iterator[str]:
    """The name of an uploaded network, which this process does not know."""
    embedded(database_pool_size=1, database_pool_overflow=0, database_pool_seconds=0.5, webhook_networks="127.0.0.1/32")
    content, file = excited()[1], tmp_path / "upload.pt2"
    file.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    model, kept = vet(f"own/mine-{digest[:8]}", f"sha256:{digest}", file)
    reference = artifacts.write(settings().resolved_artifact_root, "models/mine.safetensors", kept)
    document = {**to_json(model), "file": to_json(reference)}
    with transaction() as session:
        session.add(UploadedModel(name=model.name, sha256=digest, bytes=1, document=document, created_at=utc_now()))
    yield model.name
    forget_uploads()


def test_every_request_does_with_one_connection(upload: str) -> None:
    app = create_app()
    asked_for: set[tuple[str, str]] = set()
    with TestClient(app, raise_server_exceptions=False, follow_redirects=False, headers=LOCAL) as client:

        def ask(method: str, path: str, status: int = 200, **more: Any) -> Any:
            own_models._known.clear()  # as in a process that just started
            answer = client.request(method, path, **more)
            assert answer.status_code == status, (method, path, answer.text)
            asked_for.add((method, path.partition("?")[0]))
            return answer

        asked = {"student": upload, "dataset": "digits", "teachers": ["cifar/resnet20"], "seeds": 2, "budget": EPOCHS}
        first, second = (
            ask("POST", "/selection-jobs", 202, json={**asked, "seeds": seeds}).json()["id"] for seeds in (2, 3)
        )
        ask("POST", "/preflight", json=asked)
        question = {"student": upload, "dataset": "digits"}
        for finished in (False, True):
            if finished:
                drive.run_to_end(first)
            run_id = next((run.id for run in drive.runs_of(first)), "none")
            lost = f"/selection-jobs/{first}/student/weights"  # the driver of the job writes no files
            early = {f"/selection-jobs/{first}/student": 409, lost: 409, f"/jobs/{first}/student": 409}
            unknown = dict.fromkeys((f"/selection-jobs/{first}/runs/none", "/runs/none", "/runs/none/charts"), 404)
            statuses = {lost: 404} if finished else early | unknown
            for path in _paths(first, run_id, upload):
                ask("GET", path, statuses.get(path, 200))
            ask("GET", f"/compare?job={first}&job={second}")
            ask("GET", "/imported-results", params=question)
            ask("GET", "/best-teacher", 200 if finished else 404, params=question)
            ask("POST", "/best-teacher", 200 if finished else 202, json=asked)
        job = f"/selection-jobs/{second}"
        ask("PATCH", job, json={"name": "mine"})
        ask("POST", f"{job}/teachers", json={"teacher": "cifar/resnet8w8"})
        for what, status in (("pause", 200), ("resume", 200), ("retry", 409), ("cancel", 202)):
            ask("POST", f"{job}/{what}", status)
        ask("POST", "/new", data={"student": upload, "dataset": "digits", "teacher": "cifar/resnet8w8", "check": "1"})
        ask("POST", "/new", 303, data={"student": upload, "dataset": "digits", "teacher": "cifar/resnet8w8"})
        ask("POST", f"/jobs/{second}/name", 303, data={"name": "ours"})
        ask("GET", f"/selection-jobs/{first}/events")
        ask("POST", "/models?name=broken", 422, content=b"no network")
        results = {**question, "method": "kd", "source": "here", "results": [{"test_score": 0.9}]}
        stamp = ask("POST", "/imported-results", json=results).json()["stamp"]
        ask("DELETE", f"/imported-results/{stamp}", 204)
        webhook = ask("POST", "/webhooks", 201, json={"url": "http://127.0.0.1:9/"}).json()["webhook"]["id"]
        hook = f"/webhooks/{webhook}"
        ask("POST", f"{hook}/secret")
        message = ask("POST", f"{hook}/test", 202).json()["id"]
        ask("GET", f"{hook}/deliveries")
        ask("POST", f"{hook}/deliveries/{message}/send", 409)  # it waits for its first try
        ask("DELETE", hook, 204)
        assert _unasked(app.openapi()["paths"], asked_for) == []


def _unasked(documented: dict[str, Any], asked: set[tuple[str, str]]) -> list[tuple[str, str]]:
    """Methods and path templates of the documented routes that no request went to."""
    return [
        (method, template)
        for template, methods in documented.items()
        for method in methods
        if not any(
            method == own.lower() and re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template)), path)
            for own, path in asked
        )
    ]


def _paths(job_id: str, run_id: str, model: str) -> Iterator[str]:
    job, run = f"/selection-jobs/{job_id}", f"/runs/{run_id}"
    pages = f"/jobs/{job_id}"
    yield from (
        job,
        f"{job}/leaderboard",
        f"{job}/report",
        f"{job}/request",
        f"{job}/runs",
        f"{job}/runs/{run_id}",
        f"{job}/log",
        f"{job}/table",
    )
    yield from (f"{job}/student", f"{job}/student/weights", f"{job}/student/program")
    yield from (pages, f"{pages}/live", f"{pages}/charts", f"{pages}/student", f"{pages}/teachers", f"{pages}/name")
    yield from (run, f"{run}/charts", f"/model/{model}", "/model", f"/models?search={model}", f"/new?like={job_id}")
    yield from ("/", "/selection-jobs", f"/compare?job={job_id}", "/record", "/record/charts", "/teachers", "/docs")
    yield from (
        "/data",
        "/data/digits",
        "/datasets",
        "/datasets/digits",
        "/methods",
        "/recipes",
        "/calibration",
        "/teachers",
        "/webhooks",
        "/healthz",
        "/readyz",
    )
