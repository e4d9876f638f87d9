"""`dpk export`: what it writes, and what it refuses."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from service.students.examples import STUDENT
from service.students.schemas import Student, WeightsFile
from tests.unit.client.conftest import FakeServer, Outcome
from tests.unit.web import sample

Dpk = Callable[..., Outcome]
PATH = f"/selection-jobs/{sample.JOB_ID}/student"
CONTENT = "weights"


def offer(server: FakeServer, sha256: str, **changes: object) -> None:
    weights = WeightsFile(path=f"{PATH}/weights?seed=1", sha256=sha256, bytes=len(CONTENT))
    server.answer(f"GET {PATH}", Student.model_validate(STUDENT).model_copy(update={"weights": weights, **changes}))
    server.answer(f"GET {PATH}/weights?seed=1", CONTENT)


def test_the_student_lies_in_the_folder(server: FakeServer, dpk: Dpk, tmp_path: Path) -> None:
    offer(server, hashlib.sha256(CONTENT.encode()).hexdigest())
    folder = tmp_path / "student"
    done = dpk("export", sample.JOB_ID, "--to", str(folder))
    assert done.code == 0
    assert "taught by cifar/resnet20: 94.7% of the test pictures" in done.out
    assert (folder / "model.safetensors").read_text() == CONTENT
    assert json.loads((folder / "config.json").read_text()) == STUDENT["config"]
    assert (folder / "README.md").read_text() == STUDENT["card"]
    assert json.loads((folder / "request.json").read_text()) == STUDENT["request"]
    again = dpk("export", sample.JOB_ID, "--to", str(folder))
    assert (again.code, "holds a student already" in again.err) == (2, True)


def test_a_detectors_score_is_its_average_precision(server: FakeServer, dpk: Dpk, tmp_path: Path) -> None:
    offer(server, hashlib.sha256(CONTENT.encode()).hexdigest(), task="detection", test_score=0.4123)
    done = dpk("export", sample.JOB_ID, "--to", str(tmp_path / "student"))
    assert (done.code, "taught by cifar/resnet20: 41.2\N{NO-BREAK SPACE}AP on the test pictures" in done.out) == (
        0,
        True,
    )


def test_weights_that_do_not_arrive_whole_are_not_written(server: FakeServer, dpk: Dpk, tmp_path: Path) -> None:
    offer(server, "0" * 64)
    done = dpk("export", sample.JOB_ID, "--to", str(tmp_path / "student"))
    assert done.code == 2
    assert "did not arrive whole" in done.err
    assert not (tmp_path / "student").exists()


def test_tables_and_the_report_are_files(server: FakeServer, dpk: Dpk, tmp_path: Path) -> None:
    job = f"/selection-jobs/{sample.JOB_ID}"
    server.answer(f"GET {job}/table?table=leaderboard&format=csv", "rank\n1\n")
    server.answer(f"GET {job}/table?table=runs&format=json", "[]")
    server.answer(f"GET {job}/report", "<html>")
    board, runs, report = (tmp_path / name for name in ("board.csv", "runs.json", "report.html"))
    options = ("--leaderboard", str(board), "--runs", str(runs), "--report", str(report))
    done = dpk("export", sample.JOB_ID, *options, "--json")
    assert json.loads(done.out) == {
        "files": [str(each) for each in (board, runs, report)],
        "student": None,
        "mlflow_runs": 0,
    }
    assert [each.read_text() for each in (board, runs, report)] == ["rank\n1\n", "[]", "<html>"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "Say what to export: --to DIR"),
        (["--runs", "runs.xlsx"], "--runs: name a file that ends in .csv, .json, .parquet, not runs.xlsx."),
        (["--report", "r.html", "--seed", "1"], "give them with --to DIR"),
    ],
)
def test_what_cannot_be_exported_is_one_sentence(dpk: Dpk, options: list[str], sentence: str) -> None:
    done = dpk("export", sample.JOB_ID, *options)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert sentence in done.err
