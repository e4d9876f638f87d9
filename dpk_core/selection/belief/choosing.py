"""Posterior of every arm's final score from all trainings: ridge regression on `EFFECTS`, averaged by likelihood over
how far teachers lie apart and how noisy unfinished trainings are (`WIDTHS`). Legend: as in `effects`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from dpk_core.selection.belief import effects
from dpk_core.selection.belief.condition import average, condition, errors
from dpk_core.selection.belief.effects import EFFECTS, TRUE_LEVEL, Places, Setting, columns
from dpk_core.selection.estimate import CONFIDENCE
from dpk_core.selection.statistics import Matrix

WIDTHS = tuple(  # factors on the sd of `teacher` and on that of unfinished trainings, and their prior probability
    (teacher, training, chance * share)
    for teacher, chance in ((0.35, 0.35), (0.7, 0.4), (1.4, 0.25))
    for training, share in ((0.5, 0.3), (1.0, 0.35), (2.0, 0.2), (4.0, 0.15))
)


@dataclass(frozen=True, slots=True)
class Belief:
    """Mean (A) and covariance (A×A) of the arms' final scores, and the results' log-likelihood up to a constant.
    `effects_KK`, the effects' covariance, and the noise at each rung (R) are those of the likeliest widths."""

    setting: Setting
    mean_A: Matrix
    covariance_AA: Matrix
    log_likelihood: float
    effects_KK: Matrix
    noise_R: Matrix

    def change(self, planned: Places) -> Matrix:
        """How results at `planned` would move the mean: by this matrix (A×P) times P standard normals."""
        rows_PK, final_AK = (np.hstack(columns(self.setting, at)) for at in (planned, _final(self.setting)))
        shared_PK = rows_PK @ self.effects_KK
        factor_PP = np.linalg.cholesky(shared_PK @ rows_PK.T + np.diag(self.noise_R[planned.rung_N]))
        return np.asarray(solve_triangular(factor_PP, shared_PK @ final_AK.T, lower=True, check_finite=False).T)


def believe(job: Setting, at: Places, score_N: Matrix) -> Belief:
    """The belief after results `score_N` at the places `at`; without results, the prior."""
    blocks, residual_N = columns(job, at), score_N - effects.expected(job, at)
    rows_NK, final_AK = np.hstack(blocks), np.hstack(columns(job, _final(job)))
    # Noise depends on the rung alone: sums over each rung's results serve all widths.
    of_rung = [at.rung_N == rung for rung in range(len(job.fractions))]
    gram_RKK = np.array([rows_NK[one].T @ rows_NK[one] for one in of_rung])
    weighted_RK = np.array([rows_NK[one].T @ residual_N[one] for one in of_rung])
    square_R, count_R = np.array([(residual_N[one] @ residual_N[one], one.sum()) for one in of_rung]).T
    fits, made_with = [], []
    for teacher, training, chance in WIDTHS:
        sds = [effect.sd * (teacher if effect.name == "teacher" else 1.0) for effect in EFFECTS]
        sd_K, noise_R = np.repeat(sds, [block.shape[1] for block in blocks]), effects.noise_variance(job, training)
        information_KK = np.tensordot(1 / noise_R, gram_RKK, 1)
        mean_K, covariance_KK, log = condition(information_KK, (1 / noise_R) @ weighted_RK, sd_K)
        log += float(np.log(chance) - (square_R / noise_R + count_R * np.log(noise_R)).sum() / 2)
        fits.append((log, final_AK @ mean_K, final_AK @ covariance_KK @ final_AK.T))
        made_with.append((covariance_KK, noise_R))
    mean_A, covariance_AA = average(fits)
    logs, prior_A = [fit[0] for fit in fits], effects.expected(job, _final(job))
    log = float(np.logaddexp.reduce(logs))
    return Belief(job, prior_A + mean_A, covariance_AA, log, *made_with[int(np.argmax(logs))])


def _final(job: Setting) -> Places:
    arms = np.arange(len(job.teacher_score_A))
    return Places(arms, np.full_like(arms, TRUE_LEVEL), np.full_like(arms, len(job.fractions) - 1))


@dataclass(frozen=True, slots=True)
class BestArm:
    """`lead`: arm of the highest mean; `chance_A`: of being best; `best_set`: the fewest arms that hold the best one
    with `CONFIDENCE`, likeliest first; `regret_A`: score that taking an arm is expected to lose; `near_A`: chance that
    no other is above it by more than the margin."""

    lead: int
    chance_A: Matrix
    best_set: tuple[int, ...]
    regret_A: Matrix
    near_A: Matrix

    @property
    def regret(self) -> float:
        """Score that taking the lead is expected to lose."""
        return float(self.regret_A[self.lead])


def best_arm(mean_A: Matrix, covariance_AA: Matrix, freedom: float = np.inf, *, margin: float = 0.0) -> BestArm:
    """Which arm is best, from the mean and covariance of scores; `freedom` as in `errors`."""
    score_DA = mean_A + errors(covariance_AA, freedom, 4096)
    lead = int(np.argmax(np.round(mean_A, 9)))
    chance_A = np.bincount(score_DA.argmax(1), minlength=len(mean_A)) / len(score_DA)
    order = sorted(range(len(mean_A)), key=lambda arm: (-chance_A[arm], arm != lead, arm))
    size = int(np.searchsorted(chance_A[order].cumsum(), CONFIDENCE - 1e-12)) + 1
    behind_DA = score_DA.max(1)[:, None] - score_DA
    return BestArm(lead, chance_A, tuple(order[:size]), behind_DA.mean(0), (behind_DA <= margin).mean(0))
