"""Normal distributions: conditioning (ridge regression), averaging over models, draws.

Effects e_k ~ N(0, sd_k²) are independent, results are X e + N(0, Σ) (Rasmussen & Williams 2006, section 2.1).
Legend: K effects, G models, A arms, D draws, N results.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from dpk_core.selection.statistics import SEED, Matrix

Indices = NDArray[np.int64]


def condition(information_KK: Matrix, weighted_K: Matrix, sd_K: Matrix) -> tuple[Matrix, Matrix, float]:
    """Posterior mean (K), covariance (K×K), and log-likelihood of the results above that of noise alone.

    `information_KK` is XᵀΣ⁻¹X and `weighted_K` is XᵀΣ⁻¹r for results r: both are sums over results.
    """
    factor_KK = np.linalg.cholesky(np.eye(len(sd_K)) + sd_K[:, None] * information_KK * sd_K)
    root_KK = solve_triangular(factor_KK, np.diag(sd_K), lower=True, check_finite=False)
    half_K = root_KK @ weighted_K
    return root_KK.T @ half_K, root_KK.T @ root_KK, float(half_K @ half_K / 2 - np.log(factor_KK.diagonal()).sum())


def average(fits: Sequence[tuple[float, Matrix, Matrix]]) -> tuple[Matrix, Matrix]:
    """Mean (A) and covariance (A×A) of a mixture of models: their log posterior, mean and covariance each."""
    log_G, mean_GA, covariance_GAA = (np.array(part) for part in zip(*fits, strict=True))
    weight_G = np.exp(log_G - log_G.max()) / np.exp(log_G - log_G.max()).sum()
    apart_GA = mean_GA - weight_G @ mean_GA
    return weight_G @ mean_GA, np.tensordot(weight_G, covariance_GAA, 1) + (apart_GA.T * weight_G) @ apart_GA


def errors(covariance_AA: Matrix, freedom: float, draws: int) -> Matrix:
    """Draws (D×A) of a centred multivariate Student-t distribution; infinite `freedom`: normal."""
    generator = np.random.Generator(np.random.PCG64(SEED))
    values, vectors = np.linalg.eigh(covariance_AA)
    half_DA = generator.standard_normal((draws // 2, len(values))) @ (vectors * np.sqrt(values.clip(min=0)) @ vectors.T)
    scale_D = np.sqrt(generator.chisquare(freedom, draws) / freedom) if np.isfinite(freedom) else np.ones(draws)
    return np.asarray(np.concatenate((half_DA, -half_DA)) / scale_D[:, None])


def indicators(index_N: Indices, count: int) -> Matrix:
    """One column for each of `count` values of an index: 1 where it has that value."""
    return np.asarray(index_N[:, None] == np.arange(count), dtype=np.float64)
