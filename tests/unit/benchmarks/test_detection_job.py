"""The benchmark's job is that of the exhaustive table, and its result says whether the two agree."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import detection, detection_job, record
from tests.unit.web import sample


def test_it_asks_for_the_teachers_of_the_exhaustive_table() -> None:
    asked = detection_job.request("boxes/bccd")
    assert (asked.task, asked.method.name, asked.seeds) == ("detection", "dpk", detection.SEEDS)
    assert [(each.model, each.epochs, each.preparation) for each in asked.teachers] == [
        ("detection/fasterrcnn_mobilenet_v3_large", 12, "auto"),
        ("detection/fasterrcnn_resnet18", 18, "auto"),
        ("detection/fasterrcnn_resnet18", None, "as_is"),
    ]


def test_a_result_names_the_best_of_the_table_and_whether_it_agrees(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(record, "RESULTS", tmp_path)
    board = sample.leaderboard()
    assert detection_job.result(board)["agrees"] is None
    rows = [
        {"method": method, "teacher": teacher, "validation": score}
        for method, teacher, score in (
            ("dpk", "V3-large", 40.0), ("dpk", "ResNet-18, stopped early", 43.0), ("fgd", "ResNet-18", 50.0)
        )
    ]  # fmt: skip
    (tmp_path / "detection.json").write_text(json.dumps({"rows": rows}))
    best = "detection/fasterrcnn_resnet18@file:resnet18-stopped-early.safetensors"
    assert detection_job.exhaustive_best() == best
    found = detection_job.result(board)
    assert (found["exhaustive_best"], found["agrees"]) == (best, False)
    assert found["targets"][0]["target"] == 1500
    assert json.dumps(found)
