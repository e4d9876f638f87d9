"""Which arm is best, from the mean and covariance of scores: chances, the credible set, expected regret."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dpk_core.selection.belief.condition import Matrix

CONFIDENCE = 0.9
SEED = 2206_06067
"""Every call makes a generator of this seed: the same question always has the same answer."""


@dataclass(frozen=True, slots=True)
class BestArm:
    """`lead`: arm of the highest mean; `chance_A`: of being best; `best_set`: the fewest arms that hold the best one
    with `CONFIDENCE`, likeliest first; `regret`: score that taking the lead is expected to lose; `near`: chance that
    no arm is above the lead by more than the margin."""

    lead: int
    chance_A: Matrix
    best_set: tuple[int, ...]
    regret: float
    near: float


def errors(covariance_AA: Matrix, freedom: float, draws: int) -> Matrix:
    """Draws (D×A) of a centred multivariate Student-t distribution; A = arms."""
    generator = np.random.Generator(np.random.PCG64(SEED))
    values, vectors = np.linalg.eigh(covariance_AA)
    half_DA = generator.standard_normal((draws // 2, len(values))) @ (vectors * np.sqrt(values.clip(min=0)) @ vectors.T)
    scale_D = np.sqrt(generator.chisquare(freedom, draws) / freedom) if np.isfinite(freedom) else np.ones(draws)
    return np.asarray(np.concatenate((half_DA, -half_DA)) / scale_D[:, None])


def best_arm(mean_A: Matrix, covariance_AA: Matrix, freedom: float = np.inf, *, margin: float = 0.0) -> BestArm:
    """Summary of draws of the scores."""
    score_DA = mean_A + errors(covariance_AA, freedom, 4096)
    lead = int(np.argmax(np.round(mean_A, 9)))
    chance_A = np.bincount(score_DA.argmax(1), minlength=len(mean_A)) / len(score_DA)
    order = sorted(range(len(mean_A)), key=lambda arm: (-chance_A[arm], arm != lead, arm))
    size = int(np.searchsorted(chance_A[order].cumsum(), CONFIDENCE - 1e-12)) + 1
    behind_D = score_DA.max(1) - score_DA[:, lead]
    return BestArm(lead, chance_A, tuple(order[:size]), float(behind_D.mean()), float((behind_D <= margin).mean()))
