"""The analysis of full trainings: exact where a textbook has a formula, careful where trainings are missing or odd."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from dpk_core.selection.belief.choosing import best_arm
from dpk_core.selection.belief.crossed import (
    Scores,
    difference,
    final_scores,
    helping,
    tied,
    towards_line,
)

PLAIN = {"worth": 0.0, "tails": 1e12, "common": 10.0}
"""No prior of the seeds' noise, normal, nothing known of what a seed does to all arms."""


def evidence(*levels: float, seeds: int = 3, pictures: int = 600, key: int = 0) -> NDArray[np.float64]:
    """Right or wrong by arm, seed and picture; the last level is no teacher's."""
    chance = np.random.default_rng(key)
    arms = len(levels)
    easy_V, arm_AV = chance.standard_normal(pictures), 0.3 * chance.standard_normal((arms, pictures))
    seed_SV, own = 0.3 * chance.standard_normal((seeds, pictures)), chance.standard_normal((arms, seeds, pictures))
    limit_AS = stats.norm.ppf(levels)[:, None] + 0.03 * chance.standard_normal((arms, seeds))
    return (easy_V + arm_AV[:, None] + seed_SV + 0.3 * own < 1.15 * limit_AS[..., None]).astype(np.float64)


def paired(one_SV: NDArray[np.float64], other_SV: NDArray[np.float64]) -> tuple[float, float, float]:
    """Value and interval of the mean difference over random seeds and random pictures (Hillis 2007)."""
    apart_SV = one_SV - other_SV
    seeds, pictures = apart_SV.shape
    by_seed_S, by_picture_V = apart_SV.mean(1), apart_SV.mean(0)
    ms_seeds, ms_pictures = pictures * by_seed_S.var(ddof=1), seeds * by_picture_V.var(ddof=1)
    rest_SV = apart_SV - by_seed_S[:, None] - by_picture_V + apart_SV.mean()
    ms_both = (rest_SV**2).sum() / ((seeds - 1) * (pictures - 1))
    total = ms_seeds + max(ms_pictures - ms_both, 0.0)
    half = stats.t.ppf(0.95, (seeds - 1) * (total / ms_seeds) ** 2) * np.sqrt(total / seeds / pictures)
    return float(apart_SV.mean()), float(apart_SV.mean() - half), float(apart_SV.mean() + half)


@pytest.mark.parametrize("key", range(3))
def test_two_balanced_arms_give_the_plain_paired_interval(key: int) -> None:
    right_ASV = evidence(0.82, 0.78, seeds=4, key=key)
    gain = difference(final_scores(right_ASV, **PLAIN), 0)
    assert (gain.value, gain.low, gain.high) == pytest.approx(paired(right_ASV[0], right_ASV[1]), abs=1e-5)


def test_another_metric_scales_with_its_evidence() -> None:
    right_ASV = evidence(0.82, 0.78)
    one, tenth = (
        difference(final_scores(each, **PLAIN, sd=sd), 0) for each, sd in ((right_ASV, 0.01), (right_ASV / 10, 0.001))
    )
    assert tenth.value == pytest.approx(one.value / 10, abs=1e-6)
    assert tenth.standard_error == pytest.approx(one.standard_error / 10, rel=1e-3)


def test_a_missing_training_widens_the_interval_and_does_not_bias_it() -> None:
    right_ASV = evidence(0.82, 0.80, 0.78, seeds=4)
    fewer_ASV = right_ASV.copy()
    fewer_ASV[0, 3] = np.nan
    whole, fewer = difference(final_scores(right_ASV), 0), difference(final_scores(fewer_ASV), 0)
    assert fewer.standard_error > whole.standard_error
    assert abs(fewer.value - whole.value) < whole.standard_error


def test_arms_that_share_no_seed_are_compared_with_caution() -> None:
    right_ASV = evidence(0.82, 0.78, seeds=4)
    apart_ASV = right_ASV.copy()
    apart_ASV[0, 2:], apart_ASV[1, :2] = np.nan, np.nan
    shared_ASV = right_ASV[:, :2]
    shared, apart = difference(final_scores(shared_ASV), 0), difference(final_scores(apart_ASV), 0)
    assert apart.standard_error > 2 * shared.standard_error


def test_one_seed_each_has_an_interval_from_the_prior() -> None:
    gain = difference(final_scores(evidence(0.85, 0.78, seeds=1)), 0)
    assert 0.005 < gain.standard_error < 0.03


def test_an_arm_without_a_training_is_refused_by_name() -> None:
    right_ASV = evidence(0.82, 0.80, 0.78)
    right_ASV[1] = np.nan
    with pytest.raises(ValueError, match=r"Arms \[1\] have no full training"):
        final_scores(right_ASV)


@pytest.mark.parametrize("seed", range(3))
def test_an_outlier_seed_does_not_narrow_an_interval(seed: int) -> None:
    right_ASV = evidence(0.82, 0.80, 0.78)
    odd_ASV = right_ASV.copy()
    odd_ASV[0, seed] *= np.random.default_rng(1).random(right_ASV.shape[2]) < 0.93
    plain, odd = final_scores(right_ASV), final_scores(odd_ASV)
    for arm in (0, 1):
        assert difference(odd, arm).standard_error > difference(plain, arm).standard_error
    # The odd training counts for less: the score moves by less than a third of 5.7 points.
    assert abs(difference(odd, 0).value - difference(plain, 0).value) < 0.057 / 3


def test_a_hopeless_candidate_leaves_another_gain_where_it_is() -> None:
    moved = []
    for key in range(10):
        right_ASV = evidence(0.82, 0.81, 0.78, key=key)
        hopeless_SV = evidence(0.2, key=100 + key)
        with_it = difference(final_scores(np.concatenate((right_ASV[:2], hopeless_SV, right_ASV[2:]))), 0)
        moved.append(abs(with_it.value - difference(final_scores(right_ASV), 0).value))
    assert np.mean(moved) <= 0.0012
    assert max(moved) < 0.003


def test_dunnett_asks_for_more_the_more_candidates_there_were() -> None:
    scores = final_scores(evidence(0.82, 0.81, 0.78))
    thresholds = [helping(scores, candidates).threshold for candidates in (2, 4, 16)]
    assert thresholds == sorted(thresholds)
    assert thresholds[0] > stats.norm.ppf(0.95)


def test_only_clear_gains_beyond_the_margin_help() -> None:
    scores = final_scores(evidence(0.88, 0.785, 0.78))
    assert helping(scores, 2).arms == (0,)
    assert helping(scores, 2, margin=0.2).arms == ()


def test_dunnett_threshold_of_independent_gains_is_that_of_the_largest_normal() -> None:
    # Known variances and a baseline without noise: three independent gains.
    scores = Scores(np.zeros(4), np.diag([1.0, 1.0, 1.0, 1e-9]), np.diag([1e-9] * 4), 1e3)
    assert helping(scores, 3).threshold == pytest.approx(stats.norm.ppf(0.95 ** (1 / 3)), abs=0.04)


def test_ties_are_within_the_margin_or_within_the_noise() -> None:
    scores = Scores(np.array([0.90, 0.898, 0.85, 0.80, 0.7]), 1e-8 * np.eye(5), 1e-9 * np.eye(5), 8.0)
    assert tied(scores, 0, margin=0.003) == (1,)
    noisy = Scores(scores.mean_A, 1e-3 * np.eye(5), 1e-4 * np.eye(5), 8.0)
    assert tied(noisy, 0, margin=0.003) == (1, 2)


def test_teachers_are_drawn_towards_their_line_and_order_is_kept_when_noise_is_small() -> None:
    mean_A, teacher_T = np.array([0.80, 0.85, 0.82, 0.70]), np.array([0.90, 0.90, 0.90])
    noisy = Scores(mean_A, 4e-4 * np.eye(4), 1e-4 * np.eye(4), 8.0)
    exact = Scores(mean_A, 1e-8 * np.eye(4), 1e-9 * np.eye(4), 8.0)
    drawn_T, _, freedom = towards_line(noisy, teacher_T)
    assert np.ptp(drawn_T) < 0.7 * np.ptp(mean_A[:3])
    assert freedom >= 8
    np.testing.assert_allclose(towards_line(exact, teacher_T)[0], mean_A[:3], atol=1e-4)


def test_no_teacher_does_not_move_the_teachers_on_the_line() -> None:
    low, high = (Scores(np.array([0.80, 0.85, none]), 1e-4 * np.eye(3), 1e-5 * np.eye(3), 8.0) for none in (0.3, 0.9))
    for one, other in zip(
        towards_line(low, np.array([0.9, 0.8])), towards_line(high, np.array([0.9, 0.8])), strict=True
    ):
        np.testing.assert_allclose(one, other)


def test_the_same_evidence_gives_the_same_answer_to_the_last_bit() -> None:
    def answers() -> tuple[object, ...]:
        scores = final_scores(evidence(0.82, 0.80, 0.78))
        best = best_arm(*towards_line(scores, np.array([0.9, 0.88])))
        return difference(scores, 0), helping(scores, 3), best.best_set, best.regret, tuple(best.chance_A)

    state = np.random.get_state()[1].copy()
    assert answers() == answers()
    assert (np.random.get_state()[1] == state).all()
