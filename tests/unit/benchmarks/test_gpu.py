"""The benchmark of a GPU, in tiny sizes on the CPU."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import gpu, gpu_arms, gpu_checks, gpu_data, gpu_side_by_side, gpu_steps, record
from dpk_core.distill import rebuilding
from dpk_core.spec import MethodSpec
from tests.gpu import checks
from tests.unit.training.tiny import deterministic

CPU = torch.device("cpu")
ABSENT = ("fastapi", "celery", "pydantic", "sqlalchemy", "redis", "pytest", "scipy", "sklearn")


@pytest.fixture(autouse=True)
def process_as_it_was() -> Iterator[None]:
    """Benchmarks choose how their own process computes."""
    backends = torch.backends.cudnn, torch.backends.cuda.matmul
    before = [each.allow_tf32 for each in backends]
    with deterministic():
        yield
    for each, value in zip(backends, before, strict=True):
        each.allow_tf32 = value


def soon(seconds: float = 600.0) -> float:
    return time.monotonic() + seconds


def options(**changes: Any) -> argparse.Namespace:
    values = {"device": "cpu", "small": True, "seconds": 600.0, "parts": list(gpu.PARTS)}
    return argparse.Namespace(**(values | changes))


def test_it_runs_with_few_libraries(tmp_path: Path) -> None:
    for name in ABSENT:
        (tmp_path / f"{name}.py").write_text(f"raise ImportError('{name} is not there')\n")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu", "--small", "--device", "cpu", "--parts", "checks"],
        capture_output=True, text=True, timeout=280, cwd=gpu.ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1", "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.glob("*/gpu.json")
    found = json.loads(path.read_text())
    assert [row.get("passed") for row in found["parts"]["checks"]["rows"]] == [True] * 3
    assert not (record.RESULTS / "gpu.json").exists()


def test_what_a_run_has_is_kept_after_each_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "RESULTS", tmp_path)
    seen: list[tuple[str, float, list[str]]] = []

    def rows(part: str, _: object, seconds: float) -> list[dict[str, Any]]:
        kept = json.loads((tmp_path / "gpu.json").read_text())
        seen.append((part, seconds, list(kept["parts"])))
        return [{"failed": "it broke"}] if part == "data" else [{"row": 1, "targets": [part]}]

    monkeypatch.setattr(gpu, "part_rows", rows)
    result = json.loads(gpu.measure(options(small=False, seconds=530.0)).read_text())
    parts = list(gpu.PARTS)
    assert [(part, kept) for part, _, kept in seen] == [(part, parts[:index]) for index, part in enumerate(parts)]
    assert [seconds for _, seconds, _ in seen][:-1] == [gpu.PARTS[part] for part in parts[:-1]]
    assert seen[-1][1] > gpu.PARTS["arms"], "the last part has the time that the others left"
    assert result["targets"] == [part for part in parts if part != "data"]
    assert result["parts"]["arms"]["rows"] == [{"row": 1}]
    assert "data: 1 rows in 0.0 s, 1 failed, 0 skipped" in gpu.summary(result | {"targets": []})


def test_what_does_not_fit_any_more_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "RESULTS", tmp_path)
    result = json.loads(gpu.measure(options(small=False, seconds=1.0)).read_text())
    assert [part["rows"] for part in result["parts"].values()] == [[{"skipped": "no time was left"}]] * len(gpu.PARTS)
    (row, *_) = gpu_steps.rows(CPU, small=True, until=time.monotonic() - 1)
    assert row["skipped"] == "needs about 2 s, which were not left"
    assert "skipped" in next(gpu_data.rows(CPU, small=True, until=time.monotonic()))
    assert "skipped" in next(gpu_checks.rows(CPU, small=True, until=time.monotonic() - 1))


def test_a_part_that_hangs_is_ended_and_keeps_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    program = (
        "import sys, time, pathlib; pathlib.Path(sys.argv[sys.argv.index('--rows') + 1]).write_text('{\"row\": 1}\\n');"
        "time.sleep(60)"
    )
    start = subprocess.Popen

    def hanging(command: list[str], **kwargs: Any) -> Any:
        return start([command[0], "-c", program, *command[3:]], **kwargs)

    monkeypatch.setattr(subprocess, "Popen", hanging)
    monkeypatch.setattr(gpu, "GRACE_SECONDS", 1.0)
    began = time.monotonic()
    assert gpu.part_rows("data", options(), 2.0) == [
        {"row": 1}, {"failed": "The process of this part was ended after 3 s."},
    ]  # fmt: skip
    assert time.monotonic() - began < 30


def test_a_step_of_each_method_and_way_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    eager = [cell for cell in gpu_steps.cells(small=True) if cell.way.compiled == "no" and cell.method != "dpk paper"]
    monkeypatch.setattr(gpu_steps, "cells", lambda _: eager)
    monkeypatch.setattr(gpu_steps, "WARM_UP", 1)
    rows = list(gpu_steps.rows(CPU, small=True, until=soon()))
    assert [row["method"] for row in rows] == [cell.method for cell in eager]
    assert {row["way"] for row in rows} == {"float32", "bf16", "bf16, channels last"}
    assert all(row["milliseconds"] > 0 for row in rows)
    assert all(row["times_kd"] == 1 for row in rows if row["method"] == "kd")


def test_a_cell_that_fails_costs_the_others_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(cell: gpu_steps.Cell, *_: object) -> dict[str, Any]:
        if cell.method == "kd":
            raise RuntimeError("CUDA error")
        return {"milliseconds": 2.0}

    monkeypatch.setattr(gpu_steps, "measured", measured)
    rows = list(gpu_steps.rows(CPU, small=True, until=soon()))
    assert rows[0]["failed"] == "RuntimeError: CUDA error"
    assert (rows[1]["milliseconds"], "times_kd" in rows[1]) == (2.0, False)


def test_the_whole_command_has_every_pair_method_and_way() -> None:
    cells = gpu_steps.cells(small=False)
    eager = {(cell.pair.side, cell.method, cell.way.name) for cell in cells if cell.way.compiled == "no"}
    assert len(eager) == 2 * len(gpu_steps.METHODS) * (1 + len(gpu_steps.WAYS))
    assert ("kd", 32) in {(cell.method, cell.pair.side) for cell in cells if cell.way is gpu_steps.GRAPHED}


def test_targets_are_those_of_bf16_and_graphs() -> None:
    common = {"pair": "a → b", "milliseconds": 2.0, "times_kd": 1.3}
    wanted = [
        ("dpk probe", "bf16", (1.3, 1.25, False)), ("dpk paper", "bf16", (1.3, 3.0, True)), ("dpk probe", "tf32", None),
        ("kd", "bf16", None), ("kd", gpu_steps.GRAPHED.name, (2.0, 1.5, False)),
    ]  # fmt: skip
    for method, way, expected in wanted:
        found = gpu_steps.targets(common | {"method": method, "way": way})
        assert [(each["value"], each["target"], each["met"]) for each in found] == ([expected] if expected else [])


def test_the_data_path_gives_pictures() -> None:
    rows = list(gpu_data.rows(CPU, small=True, until=soon()))
    assert [(row["source"], row["pictures_a_second"] > 0) for row in rows] == 2 * [("jpeg", True)] + 2 * [
        ("held", True)
    ]


def test_a_teacher_and_a_student_of_an_arm_train(tmp_path: Path) -> None:
    planned = gpu_arms.plan(CPU, True, tmp_path)
    assert isinstance(planned, gpu_arms.Plan)
    teacher = gpu_arms.carry_out(planned, "cpu", tmp_path, soon(), gpu_arms.TEACHER_ARM, 0)
    student = gpu_arms.carry_out(planned, "cpu", tmp_path, soon(), "DPK", 0)
    assert 0 <= teacher["test_accuracy"] <= 1
    assert len(student["shares"]) == planned.recipe.epochs
    assert gpu_arms.carry_out(planned, "cpu", tmp_path, 0.0, "DPK", 0)["ended_in_epoch"] == 1


def test_without_the_data_the_arms_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DPK_DATA_ROOT", raising=False)
    message = "Set DPK_DATA_ROOT to the folder with cifar100_20k.npz."
    assert list(gpu_arms.rows(CPU, small=False, until=soon())) == [{"skipped": message}]


def test_arms_are_compared_over_common_seeds() -> None:
    done = {("no teacher", 0): 0.5, ("no teacher", 1): 0.52, ("DPK", 0): 0.53, ("DPK", 1): 0.57, ("DPK", 2): 0.9}
    found = gpu_arms.compared(done)
    assert found["means"] == {"no teacher": 51.0, "DPK": 66.667}
    assert found["differences"] == [
        {"arm": "DPK", "over": "no teacher", "seeds": [0, 1], "points": 4.0, "standard_error": 1.0}
    ]


def test_a_process_among_others_counts_its_steps() -> None:
    ours, theirs = multiprocessing.Pipe()
    serving = threading.Thread(target=gpu_side_by_side._serve, args=(theirs, "cpu", True))
    serving.start()
    assert gpu_side_by_side._answer(ours, 120) == 0.0
    ours.send((time.monotonic(), 0.2))
    assert gpu_side_by_side._answer(ours, 120) > 0
    ours.close()
    serving.join(60)
    assert not serving.is_alive()


def test_waits_are_counted_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where torch would warn of one, a warning of its wording stands in."""
    given = rebuilding.given_tokens

    def waiting(*arguments: Any) -> torch.Tensor:
        warnings.warn("called a synchronizing CUDA operation", UserWarning, stacklevel=1)
        return given(*arguments)

    monkeypatch.setattr(rebuilding, "given_tokens", waiting)
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", lambda _: None)
    assert [len(found) for found in checks.waits(MethodSpec(name="dpk"), CPU)] == [1, 1, 1, 1]
    assert [len(found) for found in checks.waits(MethodSpec(name="kd"), CPU)] == [0, 0, 0, 0]
