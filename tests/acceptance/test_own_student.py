"""docs/from-my-network.md as its reader would run it: a network whose source no process of ours has goes in, is trained
by a real job, comes out, and scores the same in plain PyTorch; the same again for the network as ONNX."""

from __future__ import annotations

import io
import json
import re
import warnings
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn

from client.command import main
from dpk_core.catalogue.datasets import DIGITS
from dpk_core.data.source import load_dataset
from tests.acceptance.system import PATIENT, ROOT, System

pytestmark = PATIENT

TUTORIAL = ROOT / "docs" / "from-my-network.md"
EXAMPLES = {".pt2": "own/student-5f0c9a3b", ".onnx": "own/student-onnx-8d21e07c"}
"""What the document calls its uploads."""
JOB = "JOB"
ONNX_JOB: dict[str, Any] = {
    "dataset": "digits", "method": "kd", "seeds": 1,
    "budget": {"epochs": 2, "rungs": [2], "promote": 1, "audit": 0, "teacher_epochs": 1},
}  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """API and worker."""
    system = System(tmp_path_factory.mktemp("own") / "home")
    try:
        system.start_api()
        system.start_worker()
        yield system
    finally:
        system.close()


def test_from_my_network_to_a_trained_student(whole: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    known, said, real = read_and_do(whole)
    student = tmp_path / "my-student"
    assert sorted(file.name for file in student.iterdir()) == [
        "README.md", "config.json", "model.onnx", "model.pt2", "model.safetensors", "program.safetensors",
        "request.json",
    ]  # fmt: skip
    accuracy = accuracy_of(known["MyNetwork"](), student)
    assert f": {accuracy:.1%} of 360 test pictures (" in said["evaluate"]
    assert f"| {accuracy:.1%} of 360 pictures (" in (student / "README.md").read_text()
    assert f"torch {version('torch')}" in (student / "README.md").read_text()
    repeated = said["submit"].splitlines()[0]
    assert whole.leaderboard(repeated)["ledger"]["spent"] == 0, "what a request repeats is found by its content"
    own, pictures = known["network"].eval(), torch.randn(3, 1, 8, 8)
    torch.testing.assert_close(own(pictures), known["student"](pictures))

    other = whole.submit({**ONNX_JOB, "student": real[".onnx"], "teachers": [f"{real['.pt2']}@own"]})
    whole.wait_until(other, "finished")
    folder = tmp_path / "from-onnx"
    taken = json.loads(dpk(whole, "export", other, "--to", str(folder), "--teacher", "none", "--json"))
    assert taken["student"]["test_score"] == pytest.approx(accuracy_of(known["MyNetwork"](), folder))


def read_and_do(system: System) -> tuple[dict[str, Any], dict[str, str], dict[str, str]]:
    """Runs the document's code and commands; gives the names of the code, what each command said last, and the names of
    the uploads by the endings of their files."""
    known: dict[str, Any] = {}
    said: dict[str, str] = {}
    real: dict[str, str] = {}
    job = JOB
    for language, code in re.findall(r"^```(\w*)\n(.*?)^```$", TUTORIAL.read_text(), re.DOTALL | re.MULTILINE):
        if language == "python":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of torch about its older exporter, and of a file left open
                exec(code, known)  # noqa: S102 - what the document tells its reader to run
            continue
        for line in code.replace("\\\n", "").splitlines():
            for ending, name in real.items():
                line = line.replace(EXAMPLES[ending], name)
            _, command, *arguments = line.replace(JOB, job).split()
            said[command] = dpk(system, command, *arguments)
            if command == "model":
                real[Path(arguments[1]).suffix] = said[command].partition(":")[0]
            elif command == "submit" and job == JOB:
                job = said[command].splitlines()[0]
    return known, said, real


def accuracy_of(source: nn.Module, folder: Path) -> float:
    """Of the exported weights in their own source, in plain PyTorch, with the preprocessing that is written beside."""
    source.load_state_dict(safetensors.torch.load_file(folder / "model.safetensors"))
    config = json.loads((folder / "config.json").read_text())
    test = load_dataset(DIGITS, None, torch.device("cpu")).read_test()
    pictures = test.start_reading(torch.arange(len(test)))()
    with torch.no_grad():
        scores = source.eval()((pictures / 255 - config["mean"][0]) / config["std"][0])
    return float((scores.argmax(1) == test.labels).float().mean())


def dpk(system: System, *arguments: str) -> str:
    """What a command prints; run in this process, which has loaded its modules."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
        main([*arguments, *([] if arguments[0] == "evaluate" else ["--server", system.address])])
    assert not ended.value.code, out.getvalue() + err.getvalue() + system.logs()
    return out.getvalue()
