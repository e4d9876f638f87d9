"""The belief while trainings are unfinished: equal to plain Gaussian algebra, bounded, deterministic."""

from __future__ import annotations

import numpy as np
import pytest

from dpk_core.selection.belief import choosing, effects
from dpk_core.selection.belief.choosing import Belief, believe, best_arm
from dpk_core.selection.belief.effects import EFFECTS, SCORE_RANGE, Places, Setting

FRACTIONS = (0.125, 0.25, 0.5, 1.0)


def setting(*scores: float) -> Setting:
    return Setting(teacher_score_A=np.array(scores), fractions=FRACTIONS, seeds=3, sampling_variance=0.09 / 500)


def believed(job: Setting, results: dict[tuple[int, int, int], float]) -> Belief:
    places = np.array(list(results), dtype=np.int64).reshape(-1, 3)
    return believe(job, Places(*places.T), np.array(list(results.values())))


RESULTS = {
    (0, 0, 0): 0.61, (0, 0, 1): 0.70, (1, 0, 0): 0.60, (1, 0, 1): 0.71, (1, 0, 2): 0.78, (1, 0, 3): 0.83,
    (2, 0, 0): 0.59, (2, 1, 3): 0.80, (3, 0, 3): 0.79, (3, 1, 3): 0.80,
}  # fmt: skip


def test_belief_equals_brute_force_gaussian_algebra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "WIDTHS", ((0.7, 2.0, 1.0),))
    job = setting(0.9, 0.88, 0.84, 0.8)
    belief = believed(job, RESULTS)
    at, final = Places(*np.array(list(RESULTS)).T), Places(np.arange(4), np.full(4, -1), np.full(4, 3))
    sds = [effect.sd * (0.7 if effect.name == "teacher" else 1) for effect in EFFECTS]

    def scaled(places: Places) -> np.ndarray:
        return np.hstack([sd * column for sd, column in zip(sds, effects.columns(job, places), strict=True)])

    rows_NK, final_AK = scaled(at), scaled(final)
    total_NN = rows_NK @ rows_NK.T + np.diag(effects.noise_variance(job, 2.0)[at.rung_N])
    gain_AN = final_AK @ rows_NK.T @ np.linalg.inv(total_NN)
    mean_A = effects.expected(job, final) + gain_AN @ (np.array(list(RESULTS.values())) - effects.expected(job, at))
    np.testing.assert_allclose(belief.mean_A, mean_A, atol=1e-8)
    np.testing.assert_allclose(belief.covariance_AA, final_AK @ final_AK.T - gain_AN @ rows_NK @ final_AK.T, atol=1e-8)


def test_change_is_what_results_there_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "WIDTHS", ((0.7, 1.0, 1.0),))
    job, new = setting(0.9, 0.88, 0.84, 0.8), (0, 0, 2)
    before, after = believed(job, RESULTS), believed(job, RESULTS | {new: 0.5})
    change_AP = before.change(Places(*np.array([new]).T))
    np.testing.assert_allclose(change_AP @ change_AP.T, before.covariance_AA - after.covariance_AA, atol=1e-9)
    assert change_AP[0, 0] > 0


def test_without_results_the_better_teacher_is_expected_to_lead_by_the_slope() -> None:
    belief = believed(setting(0.9, 0.8), {})
    assert belief.mean_A[0] - belief.mean_A[1] == pytest.approx(effects.SLOPE * 0.1)


def test_a_teacher_far_off_counts_no_more_than_the_range() -> None:
    np.testing.assert_allclose(effects.bounded(np.array([0.1, 0.88, 0.9])), [-SCORE_RANGE, 0, 0.02])


def test_a_good_unfinished_training_raises_its_teacher() -> None:
    job = setting(0.9, 0.9)
    common = {(1, 0, 1): 0.70}
    low, high = (believed(job, {(0, 0, 1): score} | common).mean_A for score in (0.68, 0.72))
    assert high[0] - high[1] > low[0] - low[1]


def test_the_same_results_give_the_same_belief_in_any_order() -> None:
    job = setting(0.9, 0.88, 0.84, 0.8)
    one, other = believed(job, RESULTS), believed(job, dict(reversed(RESULTS.items())))
    np.testing.assert_allclose(one.mean_A, other.mean_A, atol=1e-12)
    np.testing.assert_allclose(one.covariance_AA, other.covariance_AA, atol=1e-12)


def test_best_set_is_the_fewest_arms_that_hold_the_best() -> None:
    best = best_arm(np.array([0.8, 0.9, 0.899]), 1e-4 * np.eye(3), margin=0.01)
    assert best.lead == 1
    assert best.best_set == (1, 2)
    assert best.chance_A.sum() == pytest.approx(1)
    assert 0 < best.regret < 0.01
    assert 0.5 < best.near_A[best.lead] < 1


def test_heavier_tails_make_the_set_no_smaller() -> None:
    mean_A, covariance_AA = np.array([0.9, 0.888]), 4e-5 * np.eye(2)
    assert len(best_arm(mean_A, covariance_AA).best_set) == 1
    assert len(best_arm(mean_A, covariance_AA, 2.0).best_set) == 2
