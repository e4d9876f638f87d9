"""Final scores from full trainings, and what they show about gains: a crossed analysis of seeds × pictures.

The variance of a mean over S seeds and V pictures is (MS_seeds + MS_pictures − MS_both) / (S V), as when radiology
compares devices by several readers (Dorfman, Berbaum & Metz 1992; Hillis 2007); here it is a matrix over arms. Pictures
are many: their part is measured. Seeds are few: their variance is pooled over arms with a prior and robust weights.

Evidence is a number per arm, seed and picture with the score as its mean over pictures: right or wrong for accuracy,
jackknife pseudo-values for other metrics; NaN where there is no training. Arms are teachers first, no teacher last.
Legend: A arms, T teachers, S seeds, V pictures, N trainings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from dpk_core.selection.belief.condition import average, condition, errors, indicators
from dpk_core.selection.belief.effects import SLOPE, SLOPE_SD, TEACHER_SD, TRAINING_SHARE, bounded
from dpk_core.selection.estimate import CONFIDENCE
from dpk_core.selection.statistics import Matrix

LINE_WIDTHS = ((0.25, 0.2), (0.5, 0.25), (1.0, 0.25), (2.0, 0.2), (4.0, 0.1))  # factors on `TEACHER_SD`, prior chance


@dataclass(frozen=True, slots=True)
class Scores:
    """Final scores (A), their covariance (A×A), the seeds' part of it, and that part's degrees of freedom."""

    mean_A: Matrix
    covariance_AA: Matrix
    seeds_AA: Matrix
    freedom: float

    def freedom_of(self, weight_AA: Matrix) -> float:
        """Degrees of freedom of a variance or a sum of variances (Satterthwaite): the pictures' part is known."""
        ratio = (weight_AA * self.covariance_AA).sum() / max((weight_AA * self.seeds_AA).sum(), 1e-12)
        return self.freedom * float(np.clip(ratio, 1, 100)) ** 2


@dataclass(frozen=True, slots=True)
class Gain:
    """A difference between two arms' scores with its `CONFIDENCE` interval."""

    value: float
    low: float
    high: float
    standard_error: float
    freedom: float


@dataclass(frozen=True, slots=True)
class HelpTest:
    """The `arms` that help, and the number of standard errors (`threshold`) that their gains exceed."""

    arms: tuple[int, ...]
    threshold: float


def final_scores(
    evidence_ASV: NDArray[np.generic], *, sd: float = 0.005, worth: float = 8, tails: float = 4, common: float = 0.02
) -> Scores:
    """Scores from full trainings, at least one per arm. Prior of a seed's effect: `sd` on one arm beside the pictures'
    noise, known with `worth` degrees of freedom, Student-t with `tails`; sd `common` on all arms alike, wide."""
    arms, seeds, pictures = evidence_ASV.shape
    arm_N, seed_N = np.nonzero(~np.isnan(evidence_ASV).any(2))
    if missing := sorted({*range(arms)} - {*arm_N.tolist()}):
        raise ValueError(f"Arms {missing} have no full training: leave them out of the evidence.")
    evidence_NV = np.asarray(evidence_ASV[arm_N, seed_N], dtype=np.float32)
    arm_NA, seed_NS, same_seed_NN = indicators(arm_N, arms), indicators(seed_N, seeds), seed_N[:, None] == seed_N
    both_AA, own_A = _interaction(evidence_NV, arm_NA, same_seed_NN)
    score_N, before_N = evidence_NV.mean(1, dtype=np.float64), sd**2 + own_A[arm_N] / pictures
    rows_NK, sd_K = np.hstack((arm_NA, seed_NS)), np.repeat((10.0, common), (arms, seeds))
    middle, weight_N = score_N.mean(), 1 / before_N
    for _ in range(30):  # EM of the Student-t: trainings far from their arm and seed count for less
        weighted_KN = rows_NK.T * weight_N
        mean_K, covariance_KK, _ = condition(weighted_KN @ rows_NK, weighted_KN @ (score_N - middle), sd_K)
        square_N = (score_N - middle - rows_NK @ mean_K) ** 2
        free = max(0.0, len(score_N) - float((covariance_KK * (weighted_KN @ rows_NK)).sum()))
        scale = (worth + float(weight_N @ square_N)) / max(worth + free, 1e-9)
        weight_N = np.minimum(1, (tails + 1) / (tails + square_N / (before_N * scale))) / before_N
    weight_AN, seeds_AA = (covariance_KK @ weighted_KN)[:arms], scale * covariance_KK[:arms, :arms]
    whole_AA = np.cov(weight_AN.astype(np.float32) @ evidence_NV).reshape(arms, arms)
    values, vectors = np.linalg.eigh(whole_AA - weight_AN @ (same_seed_NN * both_AA[arm_N][:, arm_N]) @ weight_AN.T)
    pictures_AA = (vectors * values.clip(min=0)) @ vectors.T / pictures
    return Scores(middle + mean_K[:arms], seeds_AA + pictures_AA, seeds_AA, worth + free)


def _interaction(evidence_NV: NDArray[np.float32], arm_NA: Matrix, same_seed_NN: Matrix) -> tuple[Matrix, Matrix]:
    """MS_both, what a seed's training does to a picture (A×A), and the part of it that arms do not share (A).

    Arms that share no two seeds have an unknown MS_both. It counts as 0, which is cautious, as it is subtracted.
    """
    share_A, spread_N = 1 / arm_NA.sum(0), evidence_NV.var(1, dtype=np.float64)
    rest_NV = evidence_NV - ((arm_NA * share_A) @ arm_NA.T).astype(np.float32) @ evidence_NV
    rest_NV -= rest_NV.mean(1, keepdims=True)
    shared_AA = arm_NA.T @ same_seed_NN @ arm_NA
    free_AA = shared_AA * (1 - share_A[:, None] - share_A + shared_AA * np.outer(share_A, share_A))
    both_AA = arm_NA.T @ (same_seed_NN * (rest_NV @ rest_NV.T)) @ arm_NA / (evidence_NV.shape[1] - 1)
    both_AA = np.where(free_AA > 1e-3, both_AA / np.maximum(free_AA, 1e-3), 0.0)
    own_A = both_AA.diagonal() - (both_AA.sum(1) - both_AA.diagonal()) / max(1, len(both_AA) - 1)
    return both_AA, np.where(share_A < 1, own_A.clip(min=0), TRAINING_SHARE * share_A * (arm_NA.T @ spread_N))


def difference(scores: Scores, arm: int, over: int = -1) -> Gain:
    """An arm's score above another's, by default above no teacher's."""
    weight_A = np.eye(len(scores.mean_A))[arm] - np.eye(len(scores.mean_A))[over]
    value, error = float(weight_A @ scores.mean_A), float(np.sqrt(weight_A @ scores.covariance_AA @ weight_A))
    freedom = scores.freedom_of(np.outer(weight_A, weight_A))
    half = float(special.stdtrit(freedom, 0.5 + CONFIDENCE / 2)) * error
    return Gain(value, value - half, value + half, error, freedom)


def helping(scores: Scores, candidates: int, *, margin: float = 0.0, level: float = 0.05) -> HelpTest:
    """Teachers whose gain is significant (Dunnett's one-sided test at `level` over `candidates` teachers, of which
    those without a full training count as gains correlated 1/2) and estimated above `margin`, which is not tested."""
    teachers = len(scores.mean_A) - 1
    gains = [difference(scores, arm) for arm in range(teachers)]
    error_T = np.array([gain.standard_error for gain in gains])
    over_TA = np.hstack((np.eye(teachers), -np.ones((teachers, 1))))
    correlation_CC = 0.5 + 0.5 * np.eye(max(candidates, teachers))
    correlation_CC[:teachers, :teachers] = over_TA @ scores.covariance_AA @ over_TA.T / np.outer(error_T, error_T)
    largest_D = errors(correlation_CC, min(gain.freedom for gain in gains), 16384).max(1)
    threshold = float(np.quantile(largest_D, 1 - level))
    clear = [gain.value > max(margin, threshold * gain.standard_error) for gain in gains]
    return HelpTest(tuple(np.flatnonzero(clear).tolist()), threshold)


def tied(scores: Scores, lead: int, margin: float) -> tuple[int, ...]:
    """The teachers that are not clearly worse than `lead`: by no more than `margin`, or with 0 in the interval."""
    behind = {arm: difference(scores, lead, arm) for arm in range(len(scores.mean_A) - 1) if arm != lead}
    return tuple(arm for arm, gain in behind.items() if gain.low <= 0 or gain.value <= margin)


def towards_line(scores: Scores, teacher_score_T: Matrix) -> tuple[Matrix, Matrix, float]:
    """Mean, covariance and degrees of freedom of the first T arms' scores, drawn towards their line over teacher
    accuracy as far as they are noise: for `best_arm`, not for gains. No teacher is not on the line."""
    teachers, slope_T = len(teacher_score_T), bounded(teacher_score_T)
    rows_TK = np.column_stack((np.ones(teachers), slope_T, np.eye(teachers)))
    apart_T = scores.mean_A[:teachers] - 0.5 - SLOPE * slope_T
    weighted_KT = rows_TK.T @ np.linalg.inv(scores.covariance_AA[:teachers, :teachers])
    fits = []
    for width, chance in LINE_WIDTHS:
        sd_K = np.array([1.0, SLOPE_SD, *[width * TEACHER_SD] * teachers])
        mean_K, covariance_KK, log = condition(weighted_KT @ rows_TK, weighted_KT @ apart_T, sd_K)
        mean_T, covariance_TT = 0.5 + SLOPE * slope_T + rows_TK @ mean_K, rows_TK @ covariance_KK @ rows_TK.T
        fits.append((float(np.log(chance)) + log, mean_T, covariance_TT))
    apart_TT = np.eye(teachers) - 1 / teachers
    return *average(fits), scores.freedom_of(np.pad(apart_TT, (0, len(scores.mean_A) - teachers)))
