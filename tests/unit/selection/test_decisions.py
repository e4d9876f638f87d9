"""Correlations on hand-made results."""

from __future__ import annotations

import numpy as np
import pytest

from dpk_core.selection.fidelity import correlations
from dpk_core.selection.state import Arm, Pair, State

SEEDS = (0, 1, 2)


def around(level: float, *, noise: float = 0.002, salt: int = 0) -> dict[int, float]:
    """Three seeds around `level`, the same on every call."""
    random = np.random.default_rng(salt)
    return {seed: level + float(random.normal(0, noise)) for seed in SEEDS}


def arm(name: str | None, probe: float, full: float | None = None, accuracy: float | None = None, salt: int = 0) -> Arm:
    return Arm(
        teacher=None if name is None else f"cifar/{name}",
        teacher_accuracy=accuracy,
        probe=around(probe, salt=salt),
        full={} if full is None else around(full, salt=salt + 100),
    )


def state(*arms: Arm, history: tuple[Pair, ...] = ()) -> State:
    return State(arms=arms, history=history)


class TestCorrelations:
    def test_measured_on_probes_when_only_some_are_trained_fully(self) -> None:
        arms = [arm(f"t{i}", 0.8 + 0.02 * i, accuracy=0.9 + 0.01 * i, salt=i) for i in range(5)]
        found = {(each.name, each.scope): each for each in correlations(state(*arms, arm(None, 0.5)))}
        probe = found["teacher_probe", "job"]
        assert probe.value is not None
        assert probe.value > 0.9
        assert probe.pairs == 5
        full = found["teacher_full", "job"]
        assert (full.value, full.note) == (None, "Not measurable with 0 teachers (it takes at least 4).")

    def test_the_store_counts_earlier_jobs(self) -> None:
        history = tuple(
            Pair(group=student, teacher_accuracy=x, student_accuracy=x * x)
            for student in ("s", "t") for x in (0.5, 0.6, 0.7)
        )  # fmt: skip
        found = {(each.name, each.scope): each for each in correlations(state(arm("a", 0.8), history=history))}
        assert found["teacher_full", "store"].pairs == 6
        assert found["teacher_full", "store"].value == pytest.approx(1, abs=0.01)

    def test_equal_values_are_not_measurable(self) -> None:
        arms = [Arm(teacher=f"cifar/{i}", teacher_accuracy=0.9, probe={0: 0.1 * i}) for i in range(5)]
        assert correlations(state(*arms))[0].note == "Not measurable: all values are equal."
