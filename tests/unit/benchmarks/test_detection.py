"""The detection benchmark: what it trains, what it keeps, and its table, on made-up trainings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import detection
from benchmarks.detection import EPOCHS, LONGER, METHODS, SEEDS, TEACHERS, Kept, Plan, plan, rows
from dpk_core.catalogue.datasets import box_dataset_card
from dpk_core.recipes import recipe
from dpk_core.spec import RunSpec
from tests.unit.catalogue.detection.detection_sets import sound_documents, write_coco
from tests.unit.training.tiny import deterministic
from tests.unit.training.tiny_detection import DETECTION, bright_boxes


def made_up_results(made: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every taught student gains 10 points and takes twice as long; twice the epochs alone gain 4."""
    pictures = np.random.default_rng(0).normal(0, 0.1, 40).astype(np.float32)
    results = {}
    for (method, teacher, seed), run in made.students.items():
        gained = 0.1 if method != "none" else 0.04 * (int(teacher) / EPOCHS - 1)
        noise = np.random.default_rng(seed).normal(0, 0.01, 40)
        evidence = (0.3 + gained + pictures - pictures.mean() + noise - noise.mean()).astype(np.float32)
        seconds = 10.0 * run.training.recipe.epochs * (2 if method != "none" else 1)
        results[run.key()] = Kept(
            validation=0.5, test=float(evidence.mean()), seconds=seconds, measured={}, evidence_N=evidence
        )
    monkeypatch.setattr(detection, "kept", lambda run: results.get(run.key()))


def test_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    made = plan(bright_boxes().card)
    assert len({run.key() for run in made.students.values()}) == SEEDS * (len(LONGER) + len(METHODS) * len(TEACHERS))
    assert len({run.key() for run in made.teachers.values()}) == len(TEACHERS)
    made_up_results(made, monkeypatch)
    alone, *_ = table = list(rows(made))
    assert detection.target(table)["met"]
    assert (alone["method"], alone["test"]) == ("none", 30.0)
    taught = table[len(LONGER) :]
    assert len(taught) == len(METHODS) * len(TEACHERS)
    for row in taught:
        assert row["low"] < row["gain"] < row["high"]
        assert row["gain"] == pytest.approx(10, abs=0.3)
        assert row["gain_at_equal_seconds"] == pytest.approx(6, abs=0.05)


def test_nothing_to_report(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(detection, "FOLDER", tmp_path)
    monkeypatch.setattr(detection, "KEPT", tmp_path / "committed.jsonl")
    assert list(rows(plan(bright_boxes().card))) == []


def test_a_training_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A teacher's and then a student's, which reads its weights."""
    monkeypatch.setattr(detection, "FOLDER", tmp_path / "kept")
    monkeypatch.setattr(detection, "KEPT", tmp_path / "committed.jsonl")
    write_coco(tmp_path / "pets", sound_documents(pictures=4))
    made = plan(box_dataset_card("boxes/pets", tmp_path, "dataset", DETECTION))
    short = replace(recipe("detection_small", epochs=1), detection=DETECTION)

    def shortened(run: RunSpec, **changes: object) -> RunSpec:
        return RunSpec(training=replace(run.training, recipe=short, **changes), stop_epoch=1)  # type: ignore[arg-type]  # changes of several types

    teacher = shortened(made.teachers["V3-large"])
    student = made.students["dpk", "V3-large", 0]
    assert student.training.teacher is not None
    reference = replace(student.training.teacher, training_key=teacher.key())
    with deterministic():
        assert "AP" in detection.carry_out(teacher, tmp_path)
        assert "dpk from detection/fasterrcnn_mobilenet_v3_large, seed 0" in detection.carry_out(
            shortened(student, teacher=reference), tmp_path
        )
    taught = shortened(student, teacher=reference)
    found = detection.kept(taught)
    assert found is not None
    assert found.evidence_N.shape == (4,)
    assert "share_fallback.P4" in found.measured
    for _ in range(2):  # the second time nothing is added
        detection.keep_new(Plan(made.card, teachers={"V3-large": teacher}, students={("dpk", "V3-large", 0): taught}))
        assert set(detection.committed()) == {teacher.key(), taught.key()}
    monkeypatch.setattr(detection, "FOLDER", tmp_path / "another machine")
    assert detection.kept(taught) is not None
