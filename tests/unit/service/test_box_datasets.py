"""Data sets of boxes over HTTP, on their page and in the command's words."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from rich.console import Console

from client.datasets import _print
from service.app import create_app
from service.datasets.schemas import AnyDataset, BoxDataset
from service.settings import Settings
from tests.unit.catalogue.detection.detection_sets import sound_documents, write_coco


@pytest.fixture
def client(configure: Callable[..., Settings], tmp_path: Path) -> TestClient:
    root = tmp_path / "data"
    write_coco(root / "pets", sound_documents(pictures=4))
    faulty = sound_documents(pictures=4)
    faulty["train"]["annotations"][0]["bbox"] = [0, 0, 0, 5]
    faulty["val"]["annotations"][1]["id"] = 0
    write_coco(root / "faulty", faulty)
    configure(data_root=root)
    return TestClient(create_app())


def test_a_sound_one(client: TestClient) -> None:
    assert [each["name"] for each in client.get("/datasets").json()["datasets"]] == [
        "digits", "boxes/faulty", "boxes/pets"
    ]  # fmt: skip
    found = AnyDataset.model_validate(client.get("/datasets/boxes/pets").json()).root
    assert isinstance(found, BoxDataset)
    assert (found.train_pictures, found.validation_pictures, found.test_pictures) == (4, 4, 4)
    assert sum(each.train for each in found.classes) == sum(each.train for each in found.sizes) == 8
    assert not found.refused
    assert len(found.samples) == 4
    for sample in found.samples:
        assert (sample.picture or "").startswith("data:image/jpeg;base64,")
        assert len(sample.truth) == 2
        assert all(0 <= corner <= 1 for box in sample.truth for corner in box.corners)
    page = client.get("/data/boxes/pets").text
    assert page.count('class="boxed"') == 4
    assert 'href="/new?dataset=boxes/pets">Ask about it' in page
    assert "Ask about it" not in client.get("/data/boxes/faulty").text
    assert page.count("<title>") == 1 + 8, "the page's, and one for each box"


def test_faults_by_kind_with_picture_and_annotation(client: TestClient) -> None:
    found = AnyDataset.model_validate(client.get("/datasets/boxes/faulty").json()).root
    assert isinstance(found, BoxDataset)
    faults = {fault.kind: fault for fault in found.faults}
    empty = faults["box_zero_size"]
    assert (empty.split, empty.count, empty.level) == ("train", 1, "refusal")
    assert empty.annotation
    assert empty.picture
    assert faults["annotation_id_zero"].level == "warning"
    assert found.refused
    page = client.get("/data/boxes/faulty").text
    assert "box zero size" in page
    assert "No job trains on it." in page
    stream = io.StringIO()
    _print(Console(file=stream, width=200), found)
    said = stream.getvalue()
    assert "Refused: Train: the box has no width or no height in 1 of 8 annotations" in said
    assert "boxes of class" in said
    assert "boxes of size" in said


def test_a_name_that_is_none_is_offered_the_nearest(client: TestClient) -> None:
    answer = client.get("/datasets/boxes/pet")
    assert answer.status_code == 404
    assert answer.json()["errors"][0]["nearest"] == "boxes/pets"
