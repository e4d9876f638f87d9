"""A job of detection from its request to its page, on a few small pictures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from service.wire.boards import Leaderboard
from tests.acceptance.system import PATIENT, System

pytestmark = PATIENT

KEPT = {"train": 8, "val": 4, "test": 4}
DETECTION: dict[str, Any] = {
    "student": "detection/fasterrcnn_mobilenet_v3_small",
    "dataset": "boxes/cells",
    "teachers": ["detection/fasterrcnn_mobilenet_v3_large", "detection/fasterrcnn_mobilenet_v3_small"],
    "method": {"name": "dpk", "inherit": True},
    "seeds": 2,
    "recipe": {"detection": {"canvas": {"height": 96, "width": 128}, "fasterrcnn": {"proposals": 50, "regions": 32}}},
    "budget": {"epochs": 2, "rungs": [1, 2], "teacher_epochs": 2, "audit": 0, "spend_near_chance": True},
}


def write_cells(folder: Path) -> None:
    """Pictures of bright and dark cells on a noisy ground, with their boxes."""
    (folder / "images").mkdir(parents=True)
    chance = np.random.default_rng(0)
    categories = [{"id": 1, "name": "bright"}, {"id": 2, "name": "dark"}]
    for split, count in KEPT.items():
        pictures, boxes = [], []
        for number in range(1, count + 1):
            pixels = chance.integers(90, 150, (96, 128, 3)).astype(np.uint8)
            for kind, left in enumerate((8, 72), 1):
                x, y, side = left + int(chance.integers(16)), int(chance.integers(8, 48)), int(chance.integers(24, 40))
                pixels[y : y + side, x : x + side] = 230 if kind == 1 else 20
                box = {"bbox": [x, y, side, side], "area": side * side, "iscrowd": 0}
                boxes.append({"id": len(boxes) + 1, "image_id": number, "category_id": kind, **box})
            name = f"{split}-{number}.png"
            Image.fromarray(pixels).save(folder / "images" / name)
            pictures.append({"id": number, "file_name": name, "width": 128, "height": 96})
        document = {"images": pictures, "annotations": boxes, "categories": categories}
        (folder / f"instances_{split}.json").write_text(json.dumps(document))


def test_a_job_of_detection(system: Callable[..., System], tmp_path: Path) -> None:
    write_cells(tmp_path / "data" / "cells")
    whole = system(DPK_DATA_ROOT=str(tmp_path / "data"))
    whole.start_api()
    whole.start_worker()
    job_id = whole.submit(DETECTION)
    assert whole.job(job_id)["request"]["task"] == "detection"
    whole.wait_until(job_id, "finished")
    document = whole.leaderboard(job_id)
    board = Leaderboard.model_validate(document)
    assert (board.metric.name, board.metric.unit) == ("average precision", "points")
    assert board.verdict is not None
    assert board.verdict.margin == 0.01
    rows = {row.teacher: row for row in board.rows}
    assert set(rows) == {*DETECTION["teachers"], None}
    for teacher in DETECTION["teachers"]:
        assert rows[teacher].inherits
        assert rows[teacher].teacher_accuracy is not None
        assert rows[teacher].teacher_parameters == board.job.detectors.parameters[teacher]  # type: ignore[union-attr]
        assert set(rows[teacher].scores) == {"size"}, "what compares class scores does not apply"
    assert any(row.full is not None and row.test is not None for row in board.rows if row.teacher)
    assert all(curve.points[-1].values.keys() >= {"validation_average_precision", "validation_ap50"}
               for curve in board.curves)  # fmt: skip
    assert board.ledger.spent > 0
    said = json.dumps({name: document[name] for name in ("job", "rows", "verdict", "decisions", "correlations")})
    assert "points of AP" in said
    assert "accuracy and" not in said
    assert board.samples is not None
    assert [len(each.truth) > 0 for each in board.samples.pictures] == [True] * 3
    page = whole.page(f"/jobs/{job_id}")
    assert page.count('class="boxed"') == 3 * 3
    assert "begin with its neck and heads" in page
    assert "average precision" in page
    best = whole.call("GET", f"/best-teacher?student={DETECTION['student']}&dataset=boxes/cells&method=dpk")
    assert best["metric"]["name"] == "average precision"
    assert best["job"] == job_id
