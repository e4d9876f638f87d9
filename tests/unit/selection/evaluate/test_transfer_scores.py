"""Rival scores against their definitions, worked out the long way."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, special

from dpk_core.selection.evaluate.transfer_scores import h_score, leep, logme, ratio_1_2

CHANCE = np.random.Generator(np.random.PCG64(0))
LABELS = np.arange(60) % 3
CENTRES = CHANCE.normal(size=(3, 5))
NEAR = CENTRES[LABELS] + 0.3 * CHANCE.normal(size=(60, 5))
FAR = 0.1 * CENTRES[LABELS] + CHANCE.normal(size=(60, 5))


class TestLogme:
    def test_it_is_the_maximum_of_the_evidence(self) -> None:
        """The marginal likelihood of y = Fw + noise, maximised over both precisions by a general optimiser."""

        def per_target(target: np.ndarray) -> float:  # type: ignore[type-arg]
            def minus(logs: np.ndarray) -> float:  # type: ignore[type-arg]
                alpha, beta = np.exp(logs)
                covariance = np.eye(60) / beta + NEAR @ NEAR.T / alpha
                _, logdet = np.linalg.slogdet(covariance)
                return float(logdet + target @ np.linalg.solve(covariance, target) + 60 * np.log(2 * np.pi)) / 2

            return -float(optimize.minimize(minus, np.zeros(2), method="Nelder-Mead", tol=1e-9).fun) / 60

        expected = np.mean([per_target((label == LABELS).astype(float)) for label in range(3)])
        assert logme(NEAR, LABELS) == pytest.approx(expected, abs=1e-5)

    def test_more_features_than_pictures(self) -> None:
        assert np.isfinite(logme(CHANCE.normal(size=(20, 50)), np.arange(20) % 2))


class TestLeep:
    def test_by_hand(self) -> None:
        probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]])
        labels = np.array([0, 0, 1])
        given_zero = np.array([1.7 / 2.0, 0.3 / 1.0])
        likelihoods = [
            probabilities[0] @ given_zero,
            probabilities[1] @ given_zero,
            probabilities[2] @ (1 - given_zero),
        ]
        assert leep(np.log(probabilities), labels) == pytest.approx(np.log(likelihoods).mean())

    def test_a_sure_and_right_head_has_the_highest_score(self) -> None:
        assert leep(50 * np.eye(3)[LABELS], LABELS) == pytest.approx(0, abs=1e-9)
        assert leep(np.zeros((60, 3)), LABELS) == pytest.approx(np.log(1 / 3))


class TestHScore:
    def test_against_plain_covariances(self) -> None:
        means = np.array([NEAR[label == LABELS].mean(0) for label in LABELS])
        expected = np.trace(np.linalg.inv(np.cov(NEAR.T)) @ np.cov(means.T))
        assert h_score(NEAR, LABELS) == pytest.approx(expected)

    def test_a_feature_without_spread_does_no_harm(self) -> None:
        dead = np.hstack([NEAR, np.zeros((60, 1))])
        assert h_score(dead, LABELS) == pytest.approx(h_score(NEAR, LABELS))


@pytest.mark.parametrize("score", [logme, h_score])
def test_classes_that_lie_apart_score_higher(score) -> None:  # type: ignore[no-untyped-def]
    assert score(NEAR, LABELS) > score(FAR, LABELS)


def test_the_names_of_classes_do_not_matter() -> None:
    renamed = (LABELS + 1) % 3
    assert logme(NEAR, renamed) == pytest.approx(logme(NEAR, LABELS))
    assert h_score(NEAR, renamed) == pytest.approx(h_score(NEAR, LABELS))
    logits = special.log_softmax(NEAR, axis=1)
    assert leep(logits, renamed) == pytest.approx(leep(logits, LABELS))


def test_ratio_1_2_is_the_mean_ratio_of_the_two_largest_logits() -> None:
    logits_NZ = np.array([[1.0, 8.0, 2.0], [3.0, -1.0, 6.0]])
    assert ratio_1_2(logits_NZ) == pytest.approx((8 / 2 + 6 / 3) / 2)
    assert not np.isfinite(ratio_1_2(np.array([[4.0, 0.0, -1.0]])))
