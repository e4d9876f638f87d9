"""Teachers that bring their weights, through real processes: judged as they are, or given a new head."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors.torch

from dpk_core.models.build import build_model
from service.database.tables import Run
from tests.acceptance.system import System

TEACHER = "cifar/resnet8w8"
KEPT, SEVEN = f"{TEACHER}@file:mine/kept.safetensors", f"{TEACHER}@file:seven.safetensors"
COLOUR = "cifar/resnet14w8@file:colour.safetensors"
JOB: dict[str, Any] = {
    "student": "cifar/resnet8w4",
    "dataset": "digits",
    "teachers": [TEACHER],
    "method": "kd",
    "seeds": 1,
    "budget": {"epochs": 2, "rungs": [1, 2], "promote": 1, "audit": 0, "teacher_epochs": 3},
}


def test_a_teacher_taken_as_it_is_teaches_like_the_one_it_was(system: Callable[..., System], tmp_path: Path) -> None:
    root = tmp_path / "weights"
    (root / "mine").mkdir(parents=True)
    for name, model, channels in (("student", "cifar/resnet8w4", 1), ("colour", "cifar/resnet14w8", 3)):
        network = build_model(model, classes=10, channels=channels, seed=5)
        safetensors.torch.save_file(network.state_dict(), root / f"{name}.safetensors")
    whole = system()
    whole.environment["DPK_WEIGHTS_ROOT"] = str(root)
    whole.start_api()
    whole.start_worker()
    first = whole.submit(JOB)
    whole.wait_until(first, "finished")
    (teacher,) = whole.runs(Run.purpose == "teacher")
    weights = (whole.run(teacher).result or {})["weights"]["path"]
    shutil.copy(whole.home / "artifacts" / weights, root / "mine" / "kept.safetensors")
    state = safetensors.torch.load_file(root / "mine" / "kept.safetensors")
    seven = {name: value[:7].clone() if name.startswith("head.") else value for name, value in state.items()}
    safetensors.torch.save_file(seven, root / "seven.safetensors")

    teachers = [TEACHER, KEPT, {"model": TEACHER, "weights": "file:seven.safetensors", "epochs": 2}, COLOUR]
    second = whole.submit({**JOB, "teachers": teachers, "budget": {**JOB["budget"], "promote": 3}})
    whole.wait_until(second, "finished")
    rows = {row["teacher"]: row for row in whole.leaderboard(second)["rows"]}
    assert set(rows) == {TEACHER, KEPT, SEVEN, COLOUR, None}
    said_of_colour = " ".join(notice["message"] for notice in rows[COLOUR]["notices"])
    assert "folded from 3 channels to 1" in said_of_colour, "a file for coloured pictures is fitted to grey ones"
    said = {
        label: (rows[label]["preparation"]["kind"], rows[label]["preparation"]["epochs"]) for label in rows if label
    }
    assert said == {TEACHER: ("train", 3), KEPT: ("as_is", 0), SEVEN: ("head", 2), COLOUR: ("as_is", 0)}
    for part in ("teacher_accuracy", "teacher_test_accuracy", "full", "test"):
        assert rows[KEPT][part] == rows[TEACHER][part]
    assert rows[SEVEN]["teacher_accuracy"] > 0.3, "a new head learns on a body that stays"
    curves = {(curve["label"], curve["purpose"]): curve["points"] for curve in whole.leaderboard(second)["curves"]}
    assert [point["epoch"] for point in curves["resnet8w8@file:mine/kept.safetensors", "teacher"]] == [0]

    started = whole.submit({**JOB, "student": {"model": "cifar/resnet8w4", "weights": "file:student.safetensors"}})
    whole.wait_until(started, "finished")
    board = whole.leaderboard(started)
    assert board["job"]["request"]["student"] == "cifar/resnet8w4@file:student.safetensors"
    assert board["setup"]["student_weights"]["weights"] == "file:student.safetensors"
    bare = [row["full"]["mean"] for row in board["rows"] if row["teacher"] is None]
    assert bare != [rows[None]["full"]["mean"]], "another start is another training"
