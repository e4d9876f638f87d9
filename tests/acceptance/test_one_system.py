"""What one API and one worker do with several jobs: weights that teachers bring, and a job that is cancelled."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
import safetensors.torch

from dpk_core.models.build import build_model
from service.database.tables import Run
from tests.acceptance.system import JOB, PATIENT, System, gone

pytestmark = PATIENT

TEACHER = "cifar/resnet8w8"
KEPT, SEVEN = f"{TEACHER}@file:mine/kept.safetensors", f"{TEACHER}@file:seven.safetensors"
COLOUR = "cifar/resnet14w8@file:colour.safetensors"
SMALL: dict[str, Any] = {
    "student": "cifar/resnet8w4",
    "dataset": "digits",
    "teachers": [TEACHER],
    "method": "kd",
    "seeds": 1,
    "budget": {"epochs": 2, "rungs": [1, 2], "promote": 1, "audit": 0, "teacher_epochs": 3},
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system on the embedded defaults for all tests of this file. A runner that does not obey is soon killed."""
    home = tmp_path_factory.mktemp("whole") / "home"
    whole = System(home, DPK_WEIGHTS_ROOT=home / "weights", DPK_STOP_GRACE_SECONDS=1)
    try:
        whole.start_api()
        whole.start_worker()
        yield whole
    finally:
        whole.close()


def test_a_teacher_taken_as_it_is_teaches_like_the_one_it_was(whole: System) -> None:
    root = whole.home / "weights"
    (root / "mine").mkdir(parents=True)
    for name, model, channels in (("student", "cifar/resnet8w4", 1), ("colour", "cifar/resnet14w8", 3)):
        network = build_model(model, classes=10, channels=channels, seed=5)
        safetensors.torch.save_file(network.state_dict(), root / f"{name}.safetensors")
    first = whole.submit(SMALL)
    whole.wait_until(first, "finished")
    (teacher,) = whole.runs(Run.purpose == "teacher", Run.state == "finished")
    weights = (whole.run(teacher).result or {})["weights"]["path"]
    shutil.copy(whole.home / "artifacts" / weights, root / "mine" / "kept.safetensors")
    state = safetensors.torch.load_file(root / "mine" / "kept.safetensors")
    seven = {name: value[:7].clone() if name.startswith("head.") else value for name, value in state.items()}
    safetensors.torch.save_file(seven, root / "seven.safetensors")

    teachers = [TEACHER, KEPT, {"model": TEACHER, "weights": "file:seven.safetensors", "epochs": 2}, COLOUR]
    second = whole.submit({**SMALL, "teachers": teachers, "budget": {**SMALL["budget"], "promote": 3}})
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

    started = whole.submit({**SMALL, "student": {"model": "cifar/resnet8w4", "weights": "file:student.safetensors"}})
    whole.wait_until(started, "finished")
    board = whole.leaderboard(started)
    assert board["job"]["request"]["student"] == "cifar/resnet8w4@file:student.safetensors"
    assert board["setup"]["student_weights"]["weights"] == "file:student.safetensors"
    bare = [row["full"]["mean"] for row in board["rows"] if row["teacher"] is None]
    assert bare != [rows[None]["full"]["mean"]], "another start is another training"


def test_a_cancelled_job_is_cancelled_when_its_process_is_gone_and_not_before(whole: System) -> None:
    (worker,) = whole.workers
    job_id = whole.submit({**JOB, "budget": {**JOB["budget"], "teacher_epochs": 1000}})
    run_id, runner = whole.catch(worker)  # suspended, it cannot obey: it has to be killed
    whole.call("POST", f"/selection-jobs/{job_id}/cancel")
    assert whole.job(job_id)["state"] == "cancelling"
    whole.wait_for(lambda: whole.job(job_id)["state"] != "cancelling" or whole.run(run_id).state != "running")
    assert gone(runner)
    whole.wait_until(job_id, "cancelled")
    assert whole.runs(Run.state.in_(("queued", "running"))) == []
    assert worker.is_running()
