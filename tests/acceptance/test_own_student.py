"""A network that exists in this file alone goes in, is trained by a real job, comes out, and scores the same in plain
PyTorch: as a torch.export program and as ONNX. And the tutorial, as its reader would run it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from tests.acceptance.system import PATIENT, ROOT, System
from tests.unit.exported.networks import ExcitedNet, export
from tests.unit.exported.onnx_files import export_onnx

pytestmark = PATIENT

TUTORIAL = ROOT / "docs" / "from-my-network.md"
FASHION = Path(os.environ.get("DPK_TEST_DATA", ROOT.parent / "shared" / "data")) / "fashion_mnist.npz"
PICTURES = 300
JOB: dict[str, Any] = {
    "dataset": "npz/fashion", "method": "kd", "seeds": 1,
    "budget": {"epochs": 2, "rungs": [2], "promote": 1, "audit": 0, "teacher_epochs": 1, "batch_size": 50},
}  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """API and worker, with a few pictures of clothes."""
    home, data = tmp_path_factory.mktemp("own") / "home", tmp_path_factory.mktemp("data")
    with np.load(FASHION) as all_pictures:
        few = {name: all_pictures[name][:PICTURES] for name in ("x_train", "y_train", "x_test", "y_test")}
        np.savez(data / "fashion.npz", classes=all_pictures["classes"], **few)
    system = System(home, DPK_DATA_ROOT=data)
    try:
        system.start_api()
        system.start_worker()
        yield system
    finally:
        system.close()


@pytest.fixture(scope="module")
def names(whole: System, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """What the network is called once it was uploaded in both ways."""
    folder = tmp_path_factory.mktemp("files")
    torch.manual_seed(5)
    export(ExcitedNet(), folder / "mine.pt2", side=28)
    export_onnx(ExcitedNet(), folder / "mine.onnx", side=28, in_training=True)
    added = [
        json.loads(dpk(whole, "model", "add", str(folder / f"mine.{ending}"), "--name", ending, "--json"))["name"]
        for ending in ("pt2", "onnx")
    ]
    return added[0], added[1]


def dpk(system: System, *arguments: str) -> str:
    """What a command prints."""
    command = [sys.executable, "-m", "client.command", *arguments]
    environment = {**system.environment, "DPK_SERVER": system.address, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr + system.logs()
    return done.stdout


@pytest.fixture(scope="module")
def jobs(names: tuple[str, str], whole: System) -> list[str]:
    """A finished job for each, in which the other one teaches."""
    pairs = [names, names[::-1]]
    found = [whole.submit({**JOB, "student": student, "teachers": [f"{teacher}@own"]}) for student, teacher in pairs]
    for job_id in found:
        whole.wait_until(job_id, "finished")
    return found


@pytest.mark.parametrize("way", [0, 1], ids=["pt2", "onnx"])
def test_it_goes_in_is_trained_and_comes_out(way: int, jobs: list[str], whole: System, tmp_path: Path) -> None:
    folder = tmp_path / "student"
    taken = json.loads(dpk(whole, "export", jobs[way], "--to", str(folder), "--teacher", "none", "--json"))
    source, state = ExcitedNet().eval(), safetensors.torch.load_file(folder / "model.safetensors")
    source.load_state_dict(state)
    config = json.loads((folder / "config.json").read_text())
    with np.load(FASHION) as pictures:
        x, y = (torch.from_numpy(pictures[name][:PICTURES]) for name in ("x_test", "y_test"))
    given = (x[:, None].float() / 255 - config["mean"][0]) / config["std"][0]
    with torch.no_grad():
        scores = source(given)
        right = int((scores.argmax(1) == y.long()).sum())
    assert taken["test_accuracy"] == pytest.approx(right / PICTURES, abs=1.01 / PICTURES)  # one picture may be a tie
    assert taken["versions"]["torch"] == version("torch")
    assert state["stem.1.running_mean"].any(), "it was trained"


def test_the_tutorial(whole: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    known: dict[str, Any] = {}
    said: dict[str, str] = {}
    names = {"own/student-5f0c9a3b": "", "JOB": ""}
    for language, code in re.findall(r"^```(\w*)\n(.*?)^```$", TUTORIAL.read_text(), re.DOTALL | re.MULTILINE):
        if language == "python":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of torch about its older exporter, and of a file left open
                exec(code, known)  # noqa: S102 - what the document tells its reader to run
            continue
        for line in code.replace("\\\n", "").splitlines():
            for written, real in names.items():
                line = line.replace(written, real or written)
            _, command, *arguments = line.split()
            said[command] = dpk(whole, command, *arguments)
            if command == "model":
                names["own/student-5f0c9a3b"] = said[command].partition(":")[0]
            elif command == "submit" and not names["JOB"]:
                names["JOB"] = said[command].splitlines()[0]

    card, evaluated = Path("my-student/README.md").read_text(), said["evaluate"]
    accuracy = re.search(r"\d+\.\d%", evaluated)
    assert accuracy is not None
    assert f"| {accuracy[0]} of 360 pictures" in card
    assert (tmp_path / "my-student" / "model.onnx").exists()
    assert (tmp_path / "student.onnx").exists()
    repeated = said["submit"].splitlines()[0]
    assert whole.leaderboard(repeated)["ledger"]["spent"] == 0, "what a request repeats is found by its content"
    own, pictures = known["network"].eval(), torch.randn(3, 1, 8, 8)
    torch.testing.assert_close(own(pictures), known["student"](pictures))
