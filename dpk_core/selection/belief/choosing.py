"""Posterior of every arm's final score from unfinished and finished trainings: ridge regression on `EFFECTS`.

How far teachers lie apart and how noisy unfinished trainings are differs between jobs, so the posterior is averaged
over a grid of both (`WIDTHS`), weighted by the likelihood of the results. Legend: as in `effects`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dpk_core.selection.belief import effects
from dpk_core.selection.belief.condition import Matrix, average, condition
from dpk_core.selection.belief.effects import EFFECTS, TRUE_LEVEL, Places, Setting, columns

WIDTHS = tuple(
    (teacher, training, chance * share)
    for teacher, chance in ((0.35, 0.35), (0.7, 0.4), (1.4, 0.25))
    for training, share in ((0.5, 0.3), (1.0, 0.35), (2.0, 0.2), (4.0, 0.15))
)
"""Factors on the sd of `teacher` and on that of unfinished trainings, and their prior probability."""


@dataclass(frozen=True, slots=True)
class Belief:
    """Mean (A) and covariance (A×A) of the arms' final scores. The other fields are those of the likeliest widths."""

    setting: Setting
    mean_A: Matrix
    covariance_AA: Matrix
    information_KK: Matrix
    sd_K: Matrix
    noise_R: Matrix

    def reduction(self, planned: Places) -> Matrix:
        """By how much results at `planned` would lower the covariance of the final scores (A×A)."""
        rows_PK = np.hstack(columns(self.setting, planned)) / np.sqrt(self.noise_R[planned.rung_N])[:, None]
        now_KK, after_KK = (
            condition(information_KK, 0 * self.sd_K, self.sd_K)[1]
            for information_KK in (self.information_KK, self.information_KK + rows_PK.T @ rows_PK)
        )
        final_AK = np.hstack(columns(self.setting, _final(self.setting)))
        return np.asarray(final_AK @ (now_KK - after_KK) @ final_AK.T)


def believe(job: Setting, at: Places, score_N: Matrix) -> Belief:
    """The belief after results `score_N` at the places `at`; without results, the prior."""
    blocks, residual_N = columns(job, at), score_N - effects.expected(job, at)
    rows_NK, final_AK = np.hstack(blocks), np.hstack(columns(job, _final(job)))
    # Noise depends on the rung alone: sums over each rung's results serve all widths.
    of_rung = [at.rung_N == rung for rung in range(len(job.fractions))]
    gram_RKK = np.array([rows_NK[one].T @ rows_NK[one] for one in of_rung])
    weighted_RK = np.array([rows_NK[one].T @ residual_N[one] for one in of_rung])
    square_R, count_R = np.array([(residual_N[one] @ residual_N[one], one.sum()) for one in of_rung]).T
    logs, means, covariances, fits = [], [], [], []
    for teacher, training, chance in WIDTHS:
        sds = [effect.sd * (teacher if effect.name == "teacher" else 1.0) for effect in EFFECTS]
        sd_K, noise_R = np.repeat(sds, [block.shape[1] for block in blocks]), effects.noise_variance(job, training)
        information_KK = np.tensordot(1 / noise_R, gram_RKK, 1)
        mean_K, covariance_KK, log = condition(information_KK, (1 / noise_R) @ weighted_RK, sd_K)
        logs.append(np.log(chance) + log - float((square_R / noise_R + count_R * np.log(noise_R)).sum()) / 2)
        means.append(final_AK @ mean_K)
        covariances.append(final_AK @ covariance_KK @ final_AK.T)
        fits.append((information_KK, sd_K, noise_R))
    _, mean_A, covariance_AA = average(logs, means, covariances)
    return Belief(job, effects.expected(job, _final(job)) + mean_A, covariance_AA, *fits[int(np.argmax(logs))])


def _final(job: Setting) -> Places:
    arms = np.arange(len(job.teacher_score_A))
    return Places(arms, np.full_like(arms, TRUE_LEVEL), np.full_like(arms, len(job.fractions) - 1))
