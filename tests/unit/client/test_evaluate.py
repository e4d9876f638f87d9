"""`dpk evaluate`, and the formats of `dpk export`: made by a process with torch, or a sentence says what is missing."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from client import extras, torch_half
from dpk_core.models.build import build_model
from dpk_core.runner import student_command
from dpk_core.training.evaluate_detection import judge
from service.students.examples import STUDENT
from service.students.schemas import Student, WeightsFile
from tests.unit.client.conftest import FakeServer, Outcome
from tests.unit.detection.made_up import made_up_detections, made_up_split
from tests.unit.runner.student_folders import write_folder
from tests.unit.web import sample

Dpk = Callable[..., Outcome]
PATH = f"/selection-jobs/{sample.JOB_ID}/student"


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """In place of the process with torch; what it was asked."""
    asked: list[Sequence[str]] = []

    def run(command: Sequence[str], **_: object) -> subprocess.CompletedProcess[str]:
        asked.append(command[4:])
        answer = {"refused": "It cannot be exported."} if "onnx" in command else {"files": []}
        return subprocess.CompletedProcess(command, 0, f"noise\n{json.dumps(answer)}\n", "")

    monkeypatch.setattr(torch_half, "subprocess", SimpleNamespace(run=run, DEVNULL=subprocess.DEVNULL))
    return asked


def offer(server: FakeServer, program: str | None = None) -> None:
    def file(name: str, content: str) -> WeightsFile:
        server.answer(f"GET {PATH}/{name}", content)
        sha256 = hashlib.sha256(content.encode()).hexdigest()
        return WeightsFile(path=f"{PATH}/{name}", sha256=sha256, bytes=len(content))

    update = {"weights": file("weights", "w"), "program": None if program is None else file("program", program)}
    server.answer(f"GET {PATH}", Student.model_validate(STUDENT).model_copy(update=update))


def test_a_real_folder_is_measured_by_a_process_of_its_own(dpk: Dpk, tmp_path: Path) -> None:
    network = build_model("cifar/resnet8w4", classes=10, channels=1, seed=0, side=8)
    folder = write_folder(tmp_path / "s", network, "cifar/resnet8w4", data_fingerprint="another")
    done = dpk("evaluate", str(folder), "--dataset", "digits")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("cifar/resnet8w4 on digits: ")
    assert "of 360 test pictures (" in done.out
    assert "not the data that it was trained on" in done.out
    network_gone = dpk("evaluate", str(tmp_path), "--dataset", "digits", "--json")
    assert network_gone.code == 2
    assert network_gone.err.count("\n") == 1
    assert "name a folder that `dpk export` wrote" in network_gone.err


def test_a_detectors_score_by_class_and_where_its_boxes_go(
    dpk: Dpk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    truth = made_up_split(3, 72, 2)
    found = judge(made_up_detections(4, truth, 2), truth, 2, reported=True)
    student: Any = SimpleNamespace(architecture="detection/x", fingerprint="f")
    card: Any = SimpleNamespace(name="boxes/pets", fingerprint="f")
    said = student_command._answer(student, card, "detection", found)
    answer = said | {"test_details": dict(found.details), "classes": ["cat", "dog"]}

    def ask(*arguments: object) -> dict[str, object]:
        asked.extend(map(str, arguments))
        return json.loads(json.dumps(answer))

    monkeypatch.setattr(torch_half, "ask", ask)
    done = dpk("evaluate", str(tmp_path), "--dataset", "boxes/pets", "--detections", "found.json")
    assert done.code == 0
    printed = " ".join(done.out.split())
    low, high = (f"{100 * each:.1f}" for each in said["interval"])
    assert f"detection/x on boxes/pets: {100 * found.score:.1f} AP on 72 test pictures ({low} to {high})." in printed
    cat, dog = (f"{100 * found.details[f'ap_class_{label}']:.1f}" for label in (0, 1))
    assert f"AP of cat {cat}; AP of dog {dog}." in printed
    assert asked[-1].endswith("/found.json")


@pytest.mark.parametrize(
    ("command", "missing"),
    [
        (("evaluate", ".", "--dataset", "digits"), "torch"),
        (("export", "x", "--to", "folder", "--format", "onnx"), "torch, onnx and onnxscript"),
    ],
)
def test_without_torch_it_says_what_to_install(
    command: Sequence[str], missing: str, dpk: Dpk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda _: None)
    done = dpk(*command)
    assert done.code == 2
    assert f"needs {missing}, which this Python does not have; install dpk-select[runner]" in done.err


def test_formats_are_made_once_each_and_safetensors_always(
    server: FakeServer, dpk: Dpk, tmp_path: Path, answers: list[Sequence[str]]
) -> None:
    offer(server, "p")
    to = tmp_path / "s"
    formats = ("--format", "pt2", "--format", "safetensors", "--format", "pt2")
    assert dpk("export", sample.JOB_ID, "--to", str(to), *formats).code == 0
    assert answers == [["convert", str(to), "pt2"]]
    assert ((to / "model.safetensors").read_text(), (to / "program.safetensors").read_text()) == ("w", "p")


def test_a_format_that_is_not_possible_leaves_the_rest(
    server: FakeServer, dpk: Dpk, tmp_path: Path, answers: list[Sequence[str]]
) -> None:
    offer(server)
    done = dpk("export", sample.JOB_ID, "--to", str(tmp_path / "s"), "--format", "onnx")
    assert done.code == 2
    assert f"It cannot be exported. The rest of the student is in {tmp_path / 's'}." in done.err
    assert (tmp_path / "s" / "model.safetensors").exists()


def test_a_process_that_dies_is_one_sentence(dpk: Dpk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        torch_half, "subprocess",
        SimpleNamespace(
            run=lambda command, **_: subprocess.CompletedProcess(command, -9, "", "a\nKilled"), DEVNULL=0
        ),
    )  # fmt: skip
    done = dpk("evaluate", str(tmp_path), "--dataset", "digits")
    assert (done.code, done.err) == (2, "The process with torch ended with -9: Killed\n")
