"""The facts that the data set check of detection data shows."""

from __future__ import annotations

from pathlib import Path

from dpk_core.catalogue.detection.check import ClassBoxes, DetectionCheck, detection_check
from dpk_core.codec import from_json, to_json
from dpk_core.detection_settings import Canvas, DetectionSettings
from tests.real_data import real_data
from tests.unit.catalogue.detection.detection_sets import sound_documents, write_coco


def test_facts_and_findings(tmp_path: Path) -> None:
    documents = sound_documents()
    documents["train"]["annotations"][0]["id"] = 0
    folder = write_coco(tmp_path / "set", documents)
    check = detection_check("boxes/set", folder, DetectionSettings(canvas=Canvas(height=12, width=16)))
    assert (check.train, check.validation, check.test, check.usual_size) == (2, 2, 2, (48, 64))
    assert check.classes[0] == ClassBoxes(name="cat", train=2, validation=2, test=2)
    assert [each.code for each in check.findings] == ["boxes_too_small"] * 3 + ["annotation_id_zero"]
    assert from_json(DetectionCheck, to_json(check)) == check


def test_real_data_is_read_without_a_fault() -> None:
    check = detection_check("boxes/bccd", real_data("bccd"), DetectionSettings())
    assert (check.train, check.validation, check.test) == (205, 87, 72)
    assert {each.name: each.train for each in check.classes} == {"RBC": 2382, "WBC": 214, "Platelets": 209}
    assert [each for each in check.findings if each.level != "info"] == []
