"""Ridge regression: the posterior of independent normal effects e_k ~ N(0, sd_k²), given results X e + N(0, Σ).

Legend: K effects, G models, A arms. Rasmussen & Williams, "Gaussian Processes for Machine Learning", section 2.1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

Matrix = NDArray[np.float64]


def condition(information_KK: Matrix, weighted_K: Matrix, sd_K: Matrix) -> tuple[Matrix, Matrix, float]:
    """Posterior mean (K), covariance (K×K), and log-likelihood of the results above that of noise alone.

    `information_KK` is XᵀΣ⁻¹X and `weighted_K` is XᵀΣ⁻¹r for results r: both are sums over results.
    """
    factor_KK = np.linalg.cholesky(np.eye(len(sd_K)) + sd_K[:, None] * information_KK * sd_K)
    root_KK = solve_triangular(factor_KK, np.diag(sd_K), lower=True, check_finite=False)
    told_K = root_KK @ weighted_K
    return root_KK.T @ told_K, root_KK.T @ root_KK, float(told_K @ told_K / 2 - np.log(factor_KK.diagonal()).sum())


def average(logs: Sequence[float], means: Sequence[Matrix], covariances: Sequence[Matrix]) -> tuple[Matrix, ...]:
    """Weights (G) of models from their log posteriors, and mean (A) and covariance (A×A) of the mixture."""
    weight_G = np.exp(np.array(logs) - max(logs))
    weight_G /= weight_G.sum()
    mean_A = weight_G @ np.array(means)
    apart_GA = np.array(means) - mean_A
    return weight_G, mean_A, np.tensordot(weight_G, np.array(covariances), 1) + (apart_GA.T * weight_G) @ apart_GA
