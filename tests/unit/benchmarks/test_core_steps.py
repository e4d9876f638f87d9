"""The benchmark of step costs, on a pair small enough for a test."""

from __future__ import annotations

import gc
import json
from pathlib import Path

import pytest
import torch

from benchmarks import core_steps, record
from benchmarks.steps import Pair
from dpk_core.distill.method import Method

PAIR = Pair("cifar/resnet8", "cifar/resnet8w4", 16, 10, {"cpu": 8})


def test_every_method_takes_its_steps_on_the_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core_steps, "memory", lambda *_: 7)
    rows = core_steps.measure(PAIR, torch.device("cpu"), rounds=2)
    assert [row["method"] for row in rows] == list(core_steps.METHODS)
    assert all(row["milliseconds"] > 0 and row["memory_mib"] == 7 for row in rows)
    assert [row["times_kd"] for row in rows if row["method"] == "kd"] == [1.0]


def test_a_result_says_how_it_stands_to_its_targets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "RESULTS", tmp_path / "results")
    path = record.write(
        "x", {"targets": [record.target("step", 1.50001, 1.5, "KD steps"), record.target("b", 1, 2, "s")]}
    )
    assert [(each["name"], each["met"]) for each in json.loads(path.read_text())["targets"]] == [
        ("step", False), ("b", True),
    ]  # fmt: skip
    assert [path.name for path in path.parent.iterdir()] == ["x.json"]


def test_when_memory_is_measured_no_network_of_the_timing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else what is measured would hold those too."""
    alive: list[int] = []

    def count(*_: object) -> int:
        gc.collect()
        alive.append(sum(issubclass(type(each), Method) for each in gc.get_objects()))
        return 7

    monkeypatch.setattr(core_steps, "memory", count)
    monkeypatch.setattr(core_steps, "METHODS", {name: core_steps.METHODS[name] for name in ("kd", "dpk probe")})
    count()
    before = alive.pop()
    core_steps.measure(PAIR, torch.device("cpu"), rounds=2)
    assert alive == [before] * len(core_steps.METHODS)
