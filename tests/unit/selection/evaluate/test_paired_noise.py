"""The spread that is left when what teachers share on a seed is taken out."""

from __future__ import annotations

import pytest
from scipy import stats

from dpk_core.selection.evaluate.regret import paired_noise


class TestPairedNoise:
    def test_a_common_seed_effect_cancels(self) -> None:
        seeds = {0: 0.1, 1: -0.2, 2: 0.05}
        arms = [{seed: level + effect for seed, effect in seeds.items()} for level in (0.5, 0.6, 0.9)]
        noise = paired_noise(arms)
        assert noise is not None
        assert noise.sd == pytest.approx(0, abs=1e-12)
        assert noise.freedom == 4

    def test_two_arms_have_the_spread_of_the_paired_t_test(self) -> None:
        a, b = {0: 0.91, 1: 0.93, 2: 0.90, 3: 0.95}, {0: 0.90, 1: 0.90, 2: 0.91, 3: 0.92}
        noise = paired_noise([a, b])
        assert noise is not None
        differences = [a[seed] - b[seed] for seed in a]
        assert noise.sd * (2 / 4) ** 0.5 == pytest.approx(float(stats.sem(differences)))
        assert noise.freedom == 3

    def test_one_seed_measures_nothing(self) -> None:
        assert paired_noise([{0: 0.5}, {0: 0.6}]) is None
        assert paired_noise([{0: 0.5, 1: 0.5}]) is None
