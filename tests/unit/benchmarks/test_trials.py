"""Trials are kept whole, found again by content, and shared by the benchmarks that want them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import ablation, subsets, trials
from benchmarks.subsets import Subset
from dpk_core.recipes import recipe
from dpk_core.spec import MethodSpec

TINY = Subset(name="tiny", source="source", train=100)
RECIPE = replace(recipe("digits"), epochs=2, batch_size=20, warmup_epochs=0)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source of grey pictures of two classes that differ in brightness."""
    chance = np.random.Generator(np.random.PCG64(0))

    def pictures(labels: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        return (chance.integers(0, 100, (len(labels), 8, 8)) + 100 * labels[:, None, None]).astype(np.uint8)

    train, test = np.arange(200, dtype=np.uint8) % 2, np.arange(40, dtype=np.uint8) % 2
    np.savez(
        tmp_path / "source.npz", x_train=pictures(train), y_train=train, x_test=pictures(test), y_test=test,
        classes=np.array(["dark", "light"]),
    )  # fmt: skip
    monkeypatch.setenv("DPK_DATA_ROOT", str(tmp_path))
    monkeypatch.setattr(subsets, "WORK", tmp_path / "work")


@pytest.mark.usefixtures("data")
def test_a_trial_holds_what_its_training_showed() -> None:
    teacher = trials.teacher_spec(TINY, "cifar/resnet8w8", RECIPE)
    student = trials.student_spec(TINY, "cifar/resnet8w4", RECIPE, 3, MethodSpec(name="dpk"), teacher)
    assert trials.load(student) is None
    for spec in (teacher, student):
        assert "of CPU time" in trials.carry_out(TINY, spec)
    kept = trials.load(student)
    assert kept is not None
    assert len(kept.values) == len(kept.seconds) == 2
    assert kept.validation_right_EV.shape == (2, 20)
    assert kept.validation_right_EV[-1].mean() == pytest.approx(kept.values[-1]["validation_accuracy"], abs=1e-6)
    assert kept.test_right_N.shape == (40,)
    assert kept.diverged is None


def test_what_is_there_is_not_trained_again(data: None, monkeypatch: pytest.MonkeyPatch) -> None:
    teacher = trials.teacher_spec(TINY, "cifar/resnet8w4", RECIPE)
    trials.carry_out(TINY, teacher)
    monkeypatch.setattr(trials, "carry_out", None)
    trials.carry_out_all([(TINY, teacher)], processes=1)


class TestPaired:
    def test_a_common_part_of_the_seeds_cancels(self) -> None:
        found = ablation.paired([0.52, 0.72, 0.92], [0.50, 0.70, 0.90])
        assert found == {"points": 2.0, "low": 2.0, "high": 2.0}

    def test_the_interval_is_students(self) -> None:
        found = ablation.paired([0.51, 0.53], [0.50, 0.50])
        # sd = sqrt(2) points, t(.95, 1) = 6.314: half width 6.314 * sqrt(2) / sqrt(2)
        assert (found["low"], found["high"]) == (pytest.approx(2 - 6.314, abs=1e-3), pytest.approx(2 + 6.314, abs=1e-3))
