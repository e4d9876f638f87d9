"""Learning rates by step."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dpk_core.recipes import RECIPES, recipe
from dpk_core.training.schedule import module_rate, student_rate

COSINE = replace(RECIPES["digits"], epochs=10, warmup_epochs=2, learning_rate=0.1)


class TestStudent:
    def test_warm_up_rises_linearly_to_the_peak(self) -> None:
        rates = [student_rate(COSINE, step, 5) for step in range(10)]
        assert rates == pytest.approx([0.01 * (step + 1) for step in range(10)])

    def test_cosine_falls_from_peak_to_nothing(self) -> None:
        assert student_rate(COSINE, 10, 5) == pytest.approx(0.1)
        assert student_rate(COSINE, 30, 5) == pytest.approx(0.05)
        assert student_rate(COSINE, 50, 5) == pytest.approx(0)

    def test_steps_at_the_authors_milestones(self) -> None:
        cifar = RECIPES["cifar100"]
        by_epoch = [student_rate(cifar, epoch * 100, 100) for epoch in (0, 149, 150, 179, 180, 209, 210, 239)]
        assert by_epoch == pytest.approx([0.05, 0.05, 0.005, 0.005, 0.0005, 0.0005, 0.00005, 0.00005])

    def test_halves_on_imagenet(self) -> None:
        rates = [student_rate(RECIPES["imagenet"], epoch * 10, 10) for epoch in (0, 24, 25, 50, 75, 99)]
        assert rates == pytest.approx([0.1, 0.1, 0.05, 0.025, 0.0125, 0.0125])

    def test_milestones_scale_with_the_epochs(self) -> None:
        short = recipe("cifar100", epochs=24)
        assert short.milestones == (15, 18, 21)
        assert student_rate(short, 15 * 10, 10) == pytest.approx(0.005)


class TestModules:
    def test_authors_schedule(self) -> None:
        """1e-4 after 20 of 240 epochs, 1e-5 in the end."""
        cifar = RECIPES["cifar100"]
        assert module_rate(cifar, 0, 100) == pytest.approx(1e-4 / 2000)
        assert module_rate(cifar, 1999, 100) == module_rate(cifar, 2000, 100) == pytest.approx(1e-4)
        assert module_rate(cifar, 24000, 100) == pytest.approx(1e-5)

    def test_warm_up_scales_with_the_recipe(self) -> None:
        short = replace(COSINE, epochs=12, module_learning_rate=1e-3)
        assert [module_rate(short, step, 4) for step in range(5)] == pytest.approx(
            [0.25e-3, 0.5e-3, 0.75e-3, 1e-3, 1e-3]
        )

    def test_a_very_short_recipe_has_no_warm_up(self) -> None:
        assert module_rate(replace(COSINE, epochs=1), 0, 2) == pytest.approx(COSINE.module_learning_rate)
