"""A job of detection speaks of average precision wherever its scores stand: log, webhook, runs and pages."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from client.runs import _cells
from service.app import create_app
from service.database.session import reading, transaction
from service.database.webhook_tables import WebhookDelivery
from service.job_runs.service import read_runs
from service.presentation.metric_words import words_of
from service.settings import Settings
from service.webhooks import service as webhooks
from service.webhooks.bodies import body_of
from service.webhooks.schemas import WebhookRequest
from tests.contract import job_driver as drive
from tests.unit.catalogue.detection.detection_sets import sound_documents, write_coco

STUDENT, TEACHER = "detection/fasterrcnn_mobilenet_v3_small", "detection/fasterrcnn_resnet18"
OTHER = "detection/fasterrcnn_mobilenet_v3_large"
PERCENT = re.compile(r"\b\d\d\.\d+%")
AP = re.compile(r"\b\d\d\.\d+\sAP\b")


@pytest.fixture
def client(embedded: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """The application on an empty embedded store, with a data set of boxes."""
    write_coco(tmp_path / "data" / "pets", sound_documents(pictures=16))
    embedded(data_root=tmp_path / "data")
    monkeypatch.setitem(drive.SKILL, TEACHER, 0.84)
    monkeypatch.setitem(drive.SKILL, OTHER, 0.81)
    return TestClient(create_app(), headers={"Origin": "http://testserver", "Accept": "text/html"})


def finished(client: TestClient, seeds: int = 2) -> str:
    """A finished job."""
    asked: dict[str, Any] = {
        "student": STUDENT, "dataset": "boxes/pets", "teachers": [TEACHER, OTHER], "seeds": seeds,
        "recipe": {"detection": {"canvas": {"height": 64, "width": 96}}}, "budget": {"epochs": 2, "rungs": [1, 2]},
    }  # fmt: skip
    job_id: str = client.post("/selection-jobs", json=asked).json()["id"]
    drive.run_to_end(job_id)
    return job_id


def test_log_and_webhook(client: TestClient) -> None:
    with transaction() as session:
        webhooks.add(session, WebhookRequest(url="https://93.184.216.34/x", events=["finished"]))
    job_id = finished(client)
    lines = [each["text"] for each in client.get(f"/selection-jobs/{job_id}/log").json()["lines"]]
    runs = [each for each in lines if each.startswith(("Preparation of", "Student "))]
    assert runs
    assert all(AP.search(each) for each in runs)
    assert not any(PERCENT.search(each) for each in lines)
    (verdict,) = [each for each in lines if each.startswith("Take ")][-1:]
    assert "points of AP" in verdict
    with reading() as session:
        (event_id,) = session.scalars(select(WebhookDelivery.event_id)).all()
        body = json.loads(body_of(session, event_id))["data"]
    assert body["sentence"] == verdict


def test_pages_of_teachers_models_and_two_jobs(client: TestClient) -> None:
    first, second = finished(client), finished(client, seeds=3)
    pages = [client.get(each).text for each in ("/teachers", f"/model/{STUDENT}", f"/compare?job={first}&job={second}")]
    for page in pages:
        assert AP.search(page)
        assert not PERCENT.search(page)
        assert "accurac" not in page
    assert "points of AP over no teacher" in pages[-1]


def test_the_table_of_runs(client: TestClient) -> None:
    found = read_runs(finished(client))
    cells = [_cells(run, words_of(found.metric)) for run in found.runs]
    assert all(AP.fullmatch(each[6]) for each in cells)
    assert not any(PERCENT.search(cell) for each in cells for cell in each[6:8])
