"""Conditioning against the textbook's covariance algebra; draws; mixtures."""

from __future__ import annotations

import numpy as np
import pytest

from dpk_core.selection.belief.condition import average, condition, errors


def test_conditioning_equals_brute_force_gaussian_algebra() -> None:
    chance = np.random.default_rng(1)
    rows_NK, sd_K = chance.standard_normal((12, 5)), np.array([1.0, 0.3, 0.0, 2.0, 0.1])
    root_NN = chance.standard_normal((12, 12))
    noise_NN, result_N = root_NN @ root_NN.T + np.eye(12), chance.standard_normal(12)
    weighted_KN = rows_NK.T @ np.linalg.inv(noise_NN)
    mean_K, covariance_KK, log = condition(weighted_KN @ rows_NK, weighted_KN @ result_N, sd_K)

    total_NN = (rows_NK * sd_K**2) @ rows_NK.T + noise_NN
    gain_KN = np.diag(sd_K**2) @ rows_NK.T @ np.linalg.inv(total_NN)
    np.testing.assert_allclose(mean_K, gain_KN @ result_N, atol=1e-10)
    np.testing.assert_allclose(covariance_KK, np.diag(sd_K**2) - gain_KN @ rows_NK @ np.diag(sd_K**2), atol=1e-10)

    def log_likelihood(covariance_NN: np.ndarray) -> float:
        size = result_N @ np.linalg.solve(covariance_NN, result_N)
        return float(-size / 2 - np.linalg.slogdet(covariance_NN)[1] / 2)

    assert log == pytest.approx(log_likelihood(total_NN) - log_likelihood(noise_NN), abs=1e-9)


def test_mixture_has_the_spread_between_its_models() -> None:
    one, other = np.array([0.0, 1.0]), np.array([2.0, 1.0])
    mean_A, covariance_AA = average([(0.0, one, np.eye(2)), (0.0, other, 3 * np.eye(2))])
    np.testing.assert_allclose(mean_A, [1.0, 1.0])
    np.testing.assert_allclose(covariance_AA, [[3.0, 0.0], [0.0, 2.0]])


def test_draws_have_the_covariance_and_repeat() -> None:
    covariance_AA = np.array([[2.0, 0.5], [0.5, 1.0]])
    drawn_DA = errors(covariance_AA, np.inf, 20000)
    np.testing.assert_allclose(np.cov(drawn_DA.T), covariance_AA, atol=0.06)
    assert (drawn_DA == errors(covariance_AA, np.inf, 20000)).all()
    # Student-t: the same covariance times freedom / (freedom − 2)
    np.testing.assert_allclose(np.cov(errors(covariance_AA, 10.0, 20000).T), covariance_AA * 10 / 8, atol=0.12)
