"""Differences paired by seed, against scipy and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from dpk_core.selection.paired import PairedNoise, paired_noise
from dpk_core.selection.statistics import mean


class TestPairedNoise:
    def test_a_common_seed_effect_cancels(self) -> None:
        seeds = {0: 0.1, 1: -0.2, 2: 0.05}
        arms = [{seed: level + effect for seed, effect in seeds.items()} for level in (0.5, 0.6, 0.9)]
        noise = paired_noise(arms)
        assert noise is not None
        assert noise.sd == pytest.approx(0, abs=1e-12)
        assert noise.freedom == 4

    def test_two_arms_give_the_paired_t_interval(self) -> None:
        a, b = {0: 0.91, 1: 0.93, 2: 0.90, 3: 0.95}, {0: 0.90, 1: 0.90, 2: 0.91, 3: 0.92}
        noise = paired_noise([a, b])
        assert noise is not None
        estimate = noise.difference(mean(a) - mean(b), seeds=4)
        expected = stats.ttest_rel(list(a.values()), list(b.values())).confidence_interval(0.9)
        assert estimate.low == pytest.approx(expected.low)
        assert estimate.high == pytest.approx(expected.high)

    def test_one_seed_measures_nothing(self) -> None:
        assert paired_noise([{0: 0.5}, {0: 0.6}]) is None
        assert paired_noise([{0: 0.5, 1: 0.5}]) is None

    def test_the_interval_holds_the_true_difference_at_its_confidence(self) -> None:
        random = np.random.default_rng(0)
        held = 0
        for _ in range(2000):
            common = random.normal(0, 0.02, 3)
            arms = [
                {seed: level + common[seed] + random.normal(0, 0.01) for seed in range(3)} for level in (0.5, 0.52, 0.6)
            ]
            noise = paired_noise(arms)
            assert noise is not None
            estimate = noise.difference(mean(arms[1]) - mean(arms[0]), 3)
            held += estimate.low <= 0.02 <= estimate.high
        assert 0.88 < held / 2000 < 0.92


def test_difference_widens_with_noise() -> None:
    quiet, loud = PairedNoise(sd=0.01, freedom=4), PairedNoise(sd=0.02, freedom=4)
    a, b = quiet.difference(0.0, 3), loud.difference(0.0, 3)
    assert (b.high - b.low) == pytest.approx(2 * (a.high - a.low))
