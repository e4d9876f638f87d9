"""Pseudo-values: the derivative of the area by weights, near what leaving pictures out gives, and as uncertain as a
bootstrap says."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from dpk_core.detection.detections import no_detections
from dpk_core.detection.jackknife import pseudo_values
from dpk_core.detection.matches import Matches, match, weighted_ap
from dpk_core.evidence import sampling_variance
from tests.unit.detection.made_up import made_up_detections, made_up_split

Numbers = NDArray[np.float64]


def area(matches: Matches, weights_N: Numbers) -> float:
    """Mean area under the interpolated precision of weighted pictures, summed from its definition."""
    areas = []
    for each in matches.classes:
        for right_D, counted_D in zip(each.right_TD, each.counted_TD, strict=True):
            weights_D, right_C = weights_N[each.pictures_D[counted_D]], right_D[counted_D]
            precision_C = np.cumsum(weights_D * right_C) / np.cumsum(weights_D)
            highest = [precision_C[place:].max() for place in np.flatnonzero(right_C)]
            areas.append(weights_D[right_C] @ np.array(highest) / (weights_N @ each.boxes_N) if highest else 0.0)
    return float(np.mean(areas))


def test_they_are_the_derivative_of_the_area() -> None:
    truth = made_up_split(1, 15, 3, 0.1)
    matches = match(truth, made_up_detections(11, truth, 3), 3)
    ap, whole = weighted_ap(matches, np.ones(15)), area(matches, np.ones(15))
    sides = []
    for step in (-1e-7, 1e-7):
        moved_NN = np.ones((15, 15)) + step * np.eye(15)
        sides.append([ap + 15 * (area(matches, weights_N) - whole) / step for weights_N in moved_NN])
    # Where two precisions are equally high, the derivative from below is another one than that from above.
    low_N, high_N = np.min(sides, axis=0), np.max(sides, axis=0)
    assert np.isclose(low_N, high_N, atol=1e-5).mean() > 0.4
    assert np.all(high_N - low_N < 0.02)
    assert np.all((low_N - 1e-5 < pseudo_values(matches)) & (pseudo_values(matches) < high_N + 1e-5))
    assert pseudo_values(matches).mean() == pytest.approx(ap, abs=1e-12)
    assert area(matches, np.ones(15)) == pytest.approx(ap, abs=0.02)


def test_they_are_near_leaving_pictures_out() -> None:
    pictures = 60
    truth = made_up_split(2, pictures, 2)
    matches = match(truth, made_up_detections(12, truth, 2), 2)
    without_N = [weighted_ap(matches, 1.0 - (np.arange(pictures) == picture)) for picture in range(pictures)]
    exact_N = pictures * weighted_ap(matches, np.ones(pictures)) - (pictures - 1) * np.array(without_N)
    values_N = pseudo_values(matches)
    assert np.corrcoef(values_N, exact_N)[0, 1] > 0.98
    assert values_N.std() == pytest.approx(exact_N.std(), rel=0.1)


def test_a_detector_that_finds_nothing() -> None:
    truth = made_up_split(5, 7, 2)
    assert pseudo_values(match(truth, no_detections(), 2)).tolist() == [0.0] * 7


def test_variance_and_covariance_are_a_bootstraps() -> None:
    pictures, classes, resamples = 100, 1, 300
    truth = made_up_split(6, pictures, classes)
    arms = [
        match(truth, made_up_detections(seed, truth, classes, skill=skill), classes)
        for seed, skill in ((21, 0.55), (22, 0.7))
    ]
    random = np.random.default_rng(7)
    drawn = [random.multinomial(pictures, np.full(pictures, 1 / pictures)).astype(float) for _ in range(resamples)]
    bootstrap_AA = np.cov([[weighted_ap(arm, weights_N) for weights_N in drawn] for arm in arms])
    values_AN = np.stack([pseudo_values(arm) for arm in arms])
    jackknife_AA = np.cov(values_AN, bias=True) / pictures
    assert sampling_variance(values_AN[0].astype(np.float32)) == pytest.approx(jackknife_AA[0, 0], rel=1e-4)
    # 300 resamples know a standard deviation to 4 %, a correlation to about .04.
    assert np.sqrt(np.diag(jackknife_AA)) == pytest.approx(np.sqrt(np.diag(bootstrap_AA)), rel=0.12)
    correlation, drawn_correlation = (
        each_AA[0, 1] / np.sqrt(each_AA[0, 0] * each_AA[1, 1]) for each_AA in (jackknife_AA, bootstrap_AA)
    )
    # Pictures are hard for both arms, so their difference is known better than that of arms on other pictures.
    assert drawn_correlation > 0.3
    assert correlation == pytest.approx(drawn_correlation, abs=0.15)
    difference, drawn_difference = (
        np.sqrt(each_AA[0, 0] + each_AA[1, 1] - 2 * each_AA[0, 1]) for each_AA in (jackknife_AA, bootstrap_AA)
    )
    assert difference == pytest.approx(drawn_difference, rel=0.15)
