"""What a job of detection would come to, before it runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import Settings
from tests.contract import job_driver as drive
from tests.unit.catalogue.detection.detection_sets import sound_documents, write_coco

STUDENT, TEACHER = "detection/fasterrcnn_mobilenet_v3_small", "detection/fasterrcnn_resnet18"


@pytest.fixture
def client(embedded: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    write_coco(tmp_path / "data" / "pets", sound_documents(pictures=16))
    embedded(data_root=tmp_path / "data")
    monkeypatch.setitem(drive.SKILL, TEACHER, 0.84)
    return TestClient(create_app(), headers={"Origin": "http://testserver"})


def request(height: int, seeds: int = 2) -> dict[str, Any]:
    canvas = {"canvas": {"height": height, "width": 96}}
    return {
        "student": STUDENT, "dataset": "boxes/pets", "teachers": [TEACHER], "seeds": seeds,
        "recipe": {"detection": canvas}, "budget": {"epochs": 2, "rungs": [1, 2]},
    }  # fmt: skip


def test_canvas_levels_and_parameters_are_said_and_the_time_once_something_was_timed(client: TestClient) -> None:
    first = client.post("/preflight", json=request(64)).json()
    assert (first["least_seconds"], first["most_seconds"]) == (None, None)
    assert (first["detectors"]["height"], first["detectors"]["width"]) == (64, 96)
    assert [level["name"] for level in first["detectors"]["levels"][TEACHER]] == ["P3", "P4", "P5"]
    assert first["detectors"]["parameters"].keys() == {STUDENT, TEACHER}

    drive.run_to_end(client.post("/selection-jobs", json=request(64)).json()["id"])
    same = client.post("/preflight", json=request(64)).json()
    assert (same["most_seconds"], same["rough"]) == (0.0, False)
    more = client.post("/preflight", json=request(64, seeds=4)).json()
    assert not more["rough"]
    taller = client.post("/preflight", json=request(128, seeds=4)).json()
    assert taller["rough"], "no training on this canvas was timed"
    students = more["most_seconds"]
    prepared = taller["most_seconds"] - 2 * 2 * students
    assert prepared > 0, "four seeds are twice two, and twice the pixels take twice as long; the teacher comes anew"


def test_the_form_shows_them(client: TestClient) -> None:
    asked = {"student": STUDENT, "dataset": "boxes/pets", "teacher": TEACHER, "method": "dpk", "check": "1"}
    page = client.post("/new", data=asked).text
    assert "pictures on a canvas of" in page
    assert "P4, " in page
    assert "tokens</small>" in page
    assert "logits alone" not in page
