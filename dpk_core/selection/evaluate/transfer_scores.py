"""Scores that promise to name the best teacher without teaching: what the probe must beat, on the same data.

Each looks at the teacher on the student's training pictures. Legend: N pictures, D features, C classes, Z classes of
the teacher's own head. A higher score predicts a better student, of Ratio 1-2 a lower one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, special

from dpk_core.selection.statistics import Matrix

Labels = NDArray[np.int64]

FIXED_POINT_STEPS = 100
FIXED_POINT_TOLERANCE = 1e-6


def logme(features_ND: Matrix, labels_N: Labels) -> float:
    """Logarithm of the maximum evidence of a linear model, per picture, mean over one-vs-rest targets.

    You et al., ICML 2021 (2102.11005), by their fixed-point iteration on the spectrum of the features.
    """
    count, width = features_ND.shape
    left_NK, singular_K, _ = linalg.svd(features_ND.astype(np.float64), full_matrices=False)
    spectrum_K = singular_K**2
    evidences = []
    for label in np.unique(labels_N):
        target_N = (labels_N == label).astype(np.float64)
        projected_K = (left_NK.T @ target_N) ** 2
        # What of the target lies outside the span of the features; rounding may take it below zero.
        outside = max(0.0, float(target_N @ target_N - projected_K.sum()))
        evidences.append(_evidence(spectrum_K, projected_K, outside, count, width))
    return float(np.mean(evidences))


def _evidence(spectrum_K: Matrix, projected_K: Matrix, outside: float, count: int, width: int) -> float:
    """Of one target: precision α of the weights and β of the noise, to the fixed point of their updates."""
    alpha, beta = 1.0, 1.0
    for _ in range(FIXED_POINT_STEPS):
        ratio = alpha / beta
        used = float((spectrum_K / (spectrum_K + ratio)).sum())
        weights = float((spectrum_K * projected_K / (spectrum_K + ratio) ** 2).sum())
        residual = float((projected_K * ratio**2 / (spectrum_K + ratio) ** 2).sum()) + outside
        alpha, beta = used / max(weights, 1e-12), max(count - used, 1e-12) / max(residual, 1e-12)
        if abs(alpha / beta - ratio) <= FIXED_POINT_TOLERANCE * ratio:
            break
    ratio = alpha / beta
    weights = float((spectrum_K * projected_K / (spectrum_K + ratio) ** 2).sum())
    residual = float((projected_K * ratio**2 / (spectrum_K + ratio) ** 2).sum()) + outside
    determinant = float(np.log(alpha + beta * spectrum_K).sum()) + (width - len(spectrum_K)) * np.log(alpha)
    evidence = (
        count * np.log(beta) + width * np.log(alpha) - determinant
        - beta * residual - alpha * weights - count * np.log(2 * np.pi)
    ) / 2  # fmt: skip
    return float(evidence / count)


def leep(logits_NZ: Matrix, labels_N: Labels) -> float:
    """Mean log-likelihood of the labels under the expected empirical prediction.

    Nguyen et al., ICML 2020 (2002.12462).
    """
    theta_NZ = special.softmax(logits_NZ.astype(np.float64), axis=1)
    classes_C, codes_N = np.unique(labels_N, return_inverse=True)
    joint_CZ = np.zeros((len(classes_C), theta_NZ.shape[1]))
    np.add.at(joint_CZ, codes_N, theta_NZ)
    given_CZ = joint_CZ / joint_CZ.sum(0).clip(min=1e-300)
    likelihood_N = (theta_NZ * given_CZ[codes_N]).sum(1)
    return float(np.log(likelihood_N.clip(min=1e-300)).mean())


def h_score(features_ND: Matrix, labels_N: Labels) -> float:
    """tr(cov(f)⁻¹ cov(E[f | y])). Bao et al., ICIP 2019. The pseudo-inverse stands for the inverse, as is usual."""
    centred_ND = features_ND.astype(np.float64) - features_ND.mean(0)
    means_ND = np.empty_like(centred_ND)
    for label in np.unique(labels_N):
        means_ND[labels_N == label] = centred_ND[labels_N == label].mean(0)
    within_DD, between_DD = centred_ND.T @ centred_ND, means_ND.T @ means_ND
    return float(np.trace(np.linalg.pinv(within_DD, rcond=1e-10, hermitian=True) @ between_DD))


def ratio_1_2(logits_NZ: Matrix) -> float:
    """Ratio 1-2: mean over pictures of the largest logit over the second largest. Not finite where that is 0.

    Gosal et al., CVPR 2026 (2605.15689): too confident a teacher teaches less, so a lower ratio predicts
    a better student.
    """
    second_N, first_N = np.partition(logits_NZ, -2, axis=1)[:, -2:].T
    with np.errstate(divide="ignore", invalid="ignore"):
        return float((first_N / second_N).mean())
