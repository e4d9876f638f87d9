"""A training that stops and resumes at any step equals one that never stopped, bit for bit."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dpk_core.spec import MethodName, TrainingSpec
from dpk_core.training.checkpoint import CheckpointWriter, resume
from dpk_core.training.loop import train
from dpk_core.training.training import Training
from tests.unit.training.tiny import METHODS, RECIPE, STEPS, Watcher, assert_equal_states, spec, start


@functools.cache
def uninterrupted(chosen: TrainingSpec) -> tuple[Training, list[dict[str, float]]]:
    training, watcher = start(chosen), Watcher()
    assert train(training, 2, watcher)
    return training, watcher.epochs


def reborn(training: Training, root: Path) -> Training:
    """The training as another process would find it: a new object filled from the checkpoint on disk."""
    checkpoint = CheckpointWriter(root, "runs/a").write(training)
    fresh = start(training.spec)
    resume(fresh, root, checkpoint)
    return fresh


@pytest.mark.parametrize("method", METHODS)
class TestEveryMethod:
    def test_stopped_at_every_step(self, method: MethodName, tmp_path: Path) -> None:  # others: test_methods_resume.py
        whole, expected = uninterrupted(spec(method))
        training, epochs = start(spec(method)), []
        for step in range(2 * STEPS + 1):
            watcher = Watcher(stop_at=step)
            assert train(training, 2, watcher) == (step == 2 * STEPS)
            epochs += watcher.epochs
            training = reborn(training, tmp_path)
            assert training.step == step
        assert epochs == expected
        assert_equal_states(whole, training)

    def test_a_probe_continued_to_the_full_training(self, method: MethodName, tmp_path: Path) -> None:
        whole, expected = uninterrupted(spec(method))
        probe, first, second = start(spec(method)), Watcher(), Watcher()
        assert train(probe, 1, first)
        full = reborn(probe, tmp_path)
        assert train(full, 2, second)
        assert first.epochs + second.epochs == expected
        assert_equal_states(whole, full)


SWITCHES: dict[str, dict[str, Any]] = {
    "softened and mixed labels": {"label_smoothing": 0.1, "mixup": 0.2},
    "AdamW": {"optimiser": "adamw", "learning_rate": 1e-3},
    "accumulation": {"accumulation": 3},
    "bfloat16": {"precision": "bfloat16"},
    "float16": {"precision": "float16"},
    "average of the weights": {"ema_decay": 0.9},
    "channels last": {"channels_last": True},
    "RandAugment and erasing": {"randaugment": 9, "erasing": 0.5},
}
"""Choices of a recipe whose state, if any, must survive."""


@pytest.mark.parametrize("switches", SWITCHES.values(), ids=SWITCHES)
def test_every_switch_of_a_recipe(switches: dict[str, Any], tmp_path: Path) -> None:
    chosen = spec("dpk", recipe=replace(RECIPE, **switches))
    whole, expected = uninterrupted(chosen)
    training, before, after = start(chosen), Watcher(stop_at=STEPS + 3), Watcher()
    train(training, 2, before)
    fresh = reborn(training, tmp_path)
    assert train(fresh, 2, after)
    assert before.epochs + after.epochs == expected
    assert_equal_states(whole, fresh)
