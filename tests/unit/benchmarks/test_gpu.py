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
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from benchmarks import ablation, gpu, gpu_arms, gpu_checks, gpu_data, gpu_mps, gpu_side_by_side, gpu_steps, record
from dpk_core.distill import rebuilding
from dpk_core.distill.precision import tf32
from dpk_core.spec import MethodSpec, Precision
from tests.gpu import checks
from tests.unit.training.tiny import deterministic

CPU = torch.device("cpu")
ABSENT = ("fastapi", "celery", "pydantic", "sqlalchemy", "redis", "pytest", "scipy", "sklearn")
NONE, DPK = ablation.NONE, gpu_arms.FIRST[-1]


@pytest.fixture(autouse=True)
def process_as_it_was() -> Iterator[None]:
    """Benchmarks choose how their own process computes."""
    with tf32(False), deterministic():
        yield


def soon(seconds: float = 600.0) -> float:
    return time.monotonic() + seconds


def options(**changes: Any) -> argparse.Namespace:
    values = {"device": "cpu", "small": True, "seconds": 600.0, "parts": list(gpu.PARTS), "results": None}
    return argparse.Namespace(**(values | changes))


def test_it_runs_with_few_libraries(tmp_path: Path) -> None:
    for name in ABSENT:
        (tmp_path / f"{name}.py").write_text(f"raise ImportError('{name} is not there')\n")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gpu", "--small", "--results", str(tmp_path / "out"), "--parts", "checks"],
        capture_output=True, text=True, timeout=280, cwd=gpu.ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "out" / "gpu.json").read_text())
    assert [row.get("passed") for row in found["parts"]["checks"]["rows"]] == [True] * len(gpu_checks.SMALL)


def test_where_the_result_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "RESULTS", record.RESULTS)
    monkeypatch.setattr(gpu, "part_rows", lambda *_: [])
    committed = record.RESULTS
    named = gpu.measure(options(small=False, results=tmp_path / "named"))
    assert named == tmp_path / "named" / "gpu.json"
    assert list(json.loads(named.read_text())["parts"]) == ["checks", "steps", "data", "side_by_side", "arms"]
    assert committed not in gpu.measure(options()).parents, "a small run must not replace the committed result"


def test_what_a_run_has_is_kept_after_each_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "RESULTS", tmp_path)
    seen: list[tuple[str, float, list[str]]] = []

    def rows(part: str, _: object, seconds: float, mps: bool) -> list[dict[str, Any]]:
        assert not mps
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

    stopped: list[Path] = []
    monkeypatch.setattr(subprocess, "Popen", hanging)
    monkeypatch.setattr(gpu, "GRACE_SECONDS", 1.0)
    monkeypatch.setattr(gpu_mps, "stop", stopped.append)
    began = time.monotonic()
    assert gpu.part_rows("data", options(), 2.0) == [
        {"row": 1}, {"failed": "The process of this part was ended after 3 s."},
    ]  # fmt: skip
    assert time.monotonic() - began < 30
    assert len(stopped) == 1


def test_the_service_is_started_and_stopped_in_the_folder_of_the_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / gpu_mps.COMMAND
    program.write_text(f'#!/bin/sh\n(echo "$@"; cat; echo "$CUDA_MPS_PIPE_DIRECTORY") >> {tmp_path}/log\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    gpu_mps.stop(tmp_path)
    assert not (tmp_path / "log").exists(), "nothing was started"
    for name, value in gpu_mps.environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    assert gpu_mps.start() is None
    gpu_mps.stop(tmp_path)
    assert (tmp_path / "log").read_text().split() == ["-d", f"{tmp_path}/mps", "quit", f"{tmp_path}/mps"]
    assert "did not start" in (gpu_mps.start() or ""), "its folder is there already"
    monkeypatch.setenv("PATH", "")
    assert gpu_mps.start() == "nvidia-cuda-mps-control is not installed"


def test_the_arms_are_trained_under_the_service_where_it_pays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rates = [{"mps": False, "steps_a_second": 5.0}, {"mps": True, "steps_a_second": 7.0}, {"mps": True, "failed": "x"}]
    assert gpu_mps.pays(rates)
    assert not gpu_mps.pays([rates[0], rates[2]])
    seen: dict[str, bool] = {}

    def rows(part: str, _: object, __: float, mps: bool) -> list[dict[str, Any]]:
        seen[part] = mps
        return rates if part == "side_by_side" else []

    monkeypatch.setattr(gpu, "part_rows", rows)
    monkeypatch.setattr(record, "RESULTS", tmp_path)
    gpu.measure(options(small=False))
    assert [part for part, mps in seen.items() if mps] == ["arms"]


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


def test_what_the_targets_need_is_measured_first() -> None:
    cells = gpu_steps.cells(small=False)
    first = [(cell.pair.side, cell.method, cell.way) for cell in cells[:7]]
    assert first[-1] == (32, "kd", gpu_steps.GRAPHED)
    assert first[:-1] == [
        (side, method, gpu_steps.BF16) for side in (32, 224) for method in ("kd", "dpk probe", "dpk paper")
    ]
    names = [(cell.pair.side, cell.method, cell.way.name) for cell in cells]
    assert len(set(names)) == len(names)
    for side in (32, 224):
        assert {method for found, method, way in names if (found, way) == (side, "bf16")} == set(gpu_steps.METHODS)
        for way in gpu_steps.WAYS:
            assert (side, "kd", way.name) in names


def test_a_fault_of_the_profiler_costs_no_times(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: object) -> None:
        raise RuntimeError("CUPTI")

    monkeypatch.setattr(gpu_steps, "profile", broken)
    found = gpu_steps._kernels(lambda _: None, 0, torch.device("cuda"))
    assert found == {"not_profiled": "RuntimeError: CUPTI"}


@pytest.mark.parametrize(("precision", "allowed"), [("float32", False), ("tf32", True), ("bfloat16", False)])
def test_a_way_computes_as_a_run_of_its_precision(precision: Precision, allowed: bool) -> None:
    gpu_steps._compute(gpu_steps.Way(name=precision, precision=precision))
    assert torch.backends.cudnn.allow_tf32 is torch.backends.cuda.matmul.allow_tf32 is allowed


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
    student = gpu_arms.carry_out(planned, "cpu", tmp_path, soon(), DPK, 0)
    assert 0 <= teacher["test_accuracy"] <= 1
    assert len(student["shares"]) == len(student["validation_accuracy"]) == planned.recipe.epochs
    assert gpu_arms.carry_out(planned, "cpu", tmp_path, 0.0, DPK, 0) == {"skipped": "no time was left"}


def test_a_training_that_is_cut_off_keeps_its_epochs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planned = gpu_arms.plan(CPU, True, tmp_path)
    assert isinstance(planned, gpu_arms.Plan)
    planned = replace(planned, recipe=replace(planned.recipe, epochs=4))
    monkeypatch.setattr(gpu_arms._Watcher, "wants_stop", lambda watcher: len(watcher.accuracies) == 2)
    row = gpu_arms.carry_out(planned, "cpu", tmp_path, soon(), NONE, 0)
    assert (row["epochs"], row["of_epochs"], len(row["validation_accuracy"])) == (2, 4, 2)
    assert row["last_epoch"]["validation_accuracy"] == row["validation_accuracy"][-1]
    assert "test_accuracy" not in row


def test_a_training_that_fails_has_a_row() -> None:
    future: Future[dict[str, Any]] = Future()
    future.set_exception(RuntimeError("CUDA error"))
    assert gpu_arms._row(future, DPK, 2) == {"arm": DPK, "seed": 2, "failed": "RuntimeError: CUDA error"}


def test_without_the_data_the_arms_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DPK_DATA_ROOT", raising=False)
    message = "Set DPK_DATA_ROOT to the folder with cifar100_20k.npz."
    assert list(gpu_arms.rows(CPU, small=False, until=soon())) == [{"skipped": message}]


def test_arms_are_compared_over_common_seeds() -> None:
    done = {(NONE, 0): 0.5, (NONE, 1): 0.52, (DPK, 0): 0.53, (DPK, 1): 0.57, (DPK, 2): 0.9}
    found = gpu_arms.compared(
        [{"arm": arm, "seed": seed, "test_accuracy": value} for (arm, seed), value in done.items()]
    )
    assert found["means"] == {NONE: 51.0, DPK: 66.667}
    assert found["differences"] == [
        {"arm": DPK, "over": NONE, "seeds": [0, 1], "measure": "test_accuracy", "points": 4.0, "standard_error": 1.0}
    ]


def test_arms_that_were_cut_off_are_compared_at_the_last_epoch_of_both() -> None:
    curves = {
        (NONE, 0): [0.1, 0.2, 0.3], (NONE, 1): [0.1, 0.2, 0.3, 0.4], (DPK, 0): [0.2, 0.25], (DPK, 1): [0.2, 0.27, 0.5],
        (DPK, 2): [0.9], (gpu_arms.FIRST[0], 0): [0.5], (gpu_arms.FIRST[0], 1): [],
        (NONE, 4): [0.3], (DPK, 4): [0.1] * 3,  # less than half as far as seed 1
    }  # fmt: skip
    rows: list[dict[str, Any]] = [
        {"arm": arm, "seed": seed, "validation_accuracy": curve} for (arm, seed), curve in curves.items()
    ]
    rows += [{"arm": DPK, "seed": 3, "failed": "it broke"}, {"arm": NONE, "seed": 3, "skipped": "no time was left"}]
    assert gpu_arms.compared(rows) == {
        "means": {},
        "differences": [{
            "arm": DPK, "over": NONE, "seeds": [0, 1], "measure": "validation_accuracy", "epoch": 2, "points": 6.0,
            "standard_error": 1.0,
        }],
    }  # fmt: skip


def test_a_check_that_compiles_begins_only_with_time_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[str] = []
    there: dict[str, Any] = {name: name for name in ("same bits twice: kd", *gpu_checks.NEEDS)}
    assert there.keys() <= checks.CHECKS.keys()
    stand_in = SimpleNamespace(CHECKS=there, run=lambda check, _: held.append(check))
    monkeypatch.setattr(gpu_checks, "_load_checks", lambda: stand_in)
    found = list(gpu_checks.rows(CPU, small=False, until=time.monotonic() + 10))
    assert held == ["same bits twice: kd"]
    assert [row["check"] for row in found if "skipped" in row] == [*gpu_checks.NEEDS]


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


def test_a_process_that_dies_before_its_first_step_is_noticed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_side_by_side, "_serve", print)  # ends at once and answers nothing
    until = time.monotonic() + 120
    [row] = gpu_side_by_side._counted(CPU, (1,), 0.1, True, until, mps=False)
    assert row["failed"].startswith("EOFError")


def test_checks_of_waits_and_graphs_come_first() -> None:
    names = list(checks.CHECKS)
    assert names.index("compiled, reduce-overhead") == len(checks.ON_A_GPU)
    assert names[0].startswith("waits in a step")


def test_waits_are_counted_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where torch would warn of one, a warning of its wording stands in."""
    given = rebuilding.given_tokens

    def waiting(*arguments: Any) -> torch.Tensor:
        warnings.warn("called a synchronizing CUDA operation", UserWarning, stacklevel=1)
        return given(*arguments)

    monkeypatch.setattr(rebuilding, "given_tokens", waiting)
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", lambda _: None)
    assert [len(found) for found in checks.waits(checks.started(MethodSpec(name="dpk"), CPU))] == [1, 1, 1, 1]
    assert [len(found) for found in checks.waits(checks.started(MethodSpec(name="kd"), CPU))] == [0, 0, 0, 0]
