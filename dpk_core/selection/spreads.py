"""What finished trainings show of the spreads, shrunk where they are few.

Moments, not a fit: each spread is what is left of a variance after the noise that is known to be in it. Every measured
variance counts for its degrees of freedom, beside the base prior's, which count for `WEIGHT`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from dpk_core.selection.decide.job_results import Arm, Knowledge, Prior
from dpk_core.selection.results import centred

WEIGHT = 8.0
"""Degrees of freedom that the base prior is worth."""
LEAST_ARMS = 3
"""That a job must have trained fully for its spreads to be measured."""
TINY = 1e-12

Matrix = NDArray[np.float64]


@dataclass(slots=True)
class _Pool:
    """A variance in the making: the base's, and every measurement for its degrees of freedom."""

    base: float
    total: float = 0.0
    freedom: float = 0.0

    def add(self, variance: float, freedom: float) -> None:
        self.total += variance * freedom
        self.freedom += freedom

    def sd(self) -> float:
        return float(np.sqrt(max(0.0, (WEIGHT * self.base + self.total) / (WEIGHT + self.freedom))))


@dataclass(frozen=True, slots=True)
class Taught:
    """A job's fully trained teachers by name: x, their accuracy, and y, their student's, both about their means, and
    the variance of luck in y."""

    names: tuple[str, ...]
    x: Matrix
    y: Matrix
    noise: float


def measured(jobs: Sequence[Knowledge], base: Prior) -> Prior:
    """`base` with the spreads that `jobs` show, of the same method and kind of data and with the same rungs.

    It takes three arms trained fully on two or more seeds; others are left out.
    """
    rungs = len(base.mismatch)
    seed = [_Pool(value**2) for value in base.seed_spread]
    mismatch = [_Pool(value**2) for value in base.mismatch]
    common, teacher, baseline = (
        _Pool(value**2) for value in (base.common_spread, base.teacher_spread, base.baseline_spread)
    )
    for job in jobs:
        arms, table_ASR = _whole(job)
        if len(arms) < LEAST_ARMS:
            continue
        seeds = table_ASR.shape[1]
        freedom = (len(arms) - 1) * (seeds - 1)
        noise_R = (_residual(table_ASR) ** 2).sum((0, 1)) / freedom
        for rung in range(rungs):
            seed[rung].add(float(noise_R[rung]) - job.picture_luck**2, freedom)
        between = float(table_ASR[..., -1].mean(0).var(ddof=1)) - float(noise_R[-1]) / len(arms)
        common.add(max(0.0, between), seeds - 1)
        means_AR = table_ASR.mean(1)
        with_teacher = [index for index, arm in enumerate(arms) if arm.teacher is not None]
        x_T = centred([arms[index] for index in with_teacher])
        rises_ASR = table_ASR[..., -1:] - table_ASR
        rise_noise_R = (_residual(rises_ASR) ** 2).sum((0, 1)) / freedom
        for rung in range(rungs - 1):
            apart, free = _off_slope(x_T, means_AR[with_teacher, -1] - means_AR[with_teacher, rung])
            if free > 0:
                mismatch[rung].add(max(0.0, apart - float(rise_noise_R[rung]) / seeds), free)
        for index in sorted({*range(len(arms))} - {*with_teacher}):
            baseline.add(float((means_AR[index, -1] - means_AR[with_teacher, -1].mean()) ** 2), 1)
    _off_line(teacher, [found for job in jobs if (found := taught(job)) is not None], base)
    falling = np.maximum.accumulate([pool.sd() for pool in mismatch[:-1]][::-1])[::-1] if rungs > 1 else np.empty(0)
    return replace(
        base, teacher_spread=teacher.sd(), baseline_spread=baseline.sd(), common_spread=common.sd(),
        seed_spread=tuple(pool.sd() for pool in seed), mismatch=(*(float(value) for value in falling), 0.0),
    )  # fmt: skip


def _off_slope(x_T: Matrix, rise_T: Matrix) -> tuple[float, int]:
    """Variance of students' rises about their line over teacher accuracy, and its degrees of freedom: how much more of
    the slope shows in the end is no teacher's own."""
    free = len(x_T) - 1
    if free < 1:
        return 0.0, 0
    left_T, along = rise_T - rise_T.mean(), float(x_T @ x_T)
    if along > TINY:
        left_T, free = left_T - x_T * float(x_T @ left_T) / along, free - 1
    return float(left_T @ left_T) / max(1, free), free


def taught(job: Knowledge) -> Taught | None:
    """A job's fully trained teachers; None where there are fewer than three."""
    arms, table_ASR = _whole(job)
    places = [index for index, arm in enumerate(arms) if arm.teacher_accuracy is not None]
    if len(places) < LEAST_ARMS:
        return None
    arms_count, seeds, _ = table_ASR.shape
    noise = float((_residual(table_ASR)[..., -1] ** 2).sum()) / ((arms_count - 1) * (seeds - 1) * seeds)
    y = table_ASR[places, :, -1].mean(1)
    x = np.array([arms[index].teacher_accuracy for index in places], dtype=np.float64)
    return Taught(tuple(str(arms[index].teacher) for index in places), x - x.mean(), y - y.mean(), noise)


def _off_line(teacher: _Pool, jobs: Sequence[Taught], base: Prior) -> None:
    """What is left of the students' spread about their line, the base's slope counting as so much evidence itself."""
    if not jobs:
        return
    own = base.teacher_spread**2 / max(base.slope_spread**2, TINY)
    xx, xy, yy = (sum(float(one @ other) for one, other in pairs) for pairs in (
        [(job.x, job.x) for job in jobs], [(job.x, job.y) for job in jobs], [(job.y, job.y) for job in jobs],
    ))  # fmt: skip
    slope = (xy + own * base.slope) / (xx + own)
    freedom = sum(len(job.x) - 1 for job in jobs) - xx / (xx + own)
    left = (yy - 2 * slope * xy + slope**2 * xx) / freedom
    teacher.add(max(0.0, left - float(np.mean([job.noise for job in jobs]))), freedom)


def picture_part(arms: Sequence[Mapping[int, NDArray[np.bool_]]]) -> float | None:
    """Part of the variance of a picture's being told right that is one arm's own, the same on all seeds.

    `arms`: by arm and seed, which of the V pictures were told right after the full training. From how much more two
    arms disagree, picture by picture, than two seeds of one arm. None unless at least two arms share two seeds.
    """
    several, common = _shared([set(by_seed) for by_seed in arms])
    if len(several) < 2:
        return None
    right_ASV = np.array([[arms[index][seed] for seed in common] for index in several], dtype=np.float64)
    rate_AV, seeds = right_ASV.mean(1), len(common)
    # E[p(1 - p)] of an arm and picture, without the bias of few seeds.
    own_A = (rate_AV * (1 - rate_AV)).mean(1) * seeds / (seeds - 1)
    apart = []
    for one, other in combinations(range(len(several)), 2):
        squared = float(((rate_AV[one] - rate_AV[other]) ** 2).mean()) - float(own_A[one] + own_A[other]) / seeds
        shift = float(rate_AV[one].mean() - rate_AV[other].mean())
        apart.append(squared - shift**2)
    accuracy = float(right_ASV.mean())
    return max(0.0, float(np.mean(apart))) / (2 * accuracy * (1 - accuracy)) if 0 < accuracy < 1 else 0.0


def _shared(seeds: Sequence[set[int]]) -> tuple[list[int], list[int]]:
    """The places of the arms that have two seeds or more, and the seeds that all of these share; nothing where they
    share fewer than two."""
    several = [index for index, own in enumerate(seeds) if len(own) > 1]
    common = sorted(set[int].intersection(*(seeds[index] for index in several))) if several else []
    return (several, common) if len(common) > 1 else ([], [])


def _whole(job: Knowledge) -> tuple[tuple[Arm, ...], Matrix]:
    """The arms that are trained fully on all of the job's common seeds, and their accuracies, A x S x R."""
    rungs = len(job.rungs)
    full = [{seed for seed, curve in arm.curves.items() if len(curve) == rungs} for arm in job.ranked]
    several, common = _shared(full)
    if not several:
        return (), np.empty((0, 0, rungs))
    arms = tuple(job.ranked[index] for index in several)
    return arms, np.array([[arm.curves[seed] for seed in common] for arm in arms])


def _residual(table_ASR: Matrix) -> Matrix:
    """What is left when each rung's arm means and seed means are taken out."""
    whole = table_ASR.mean((0, 1), keepdims=True)
    return np.asarray(table_ASR - table_ASR.mean(1, keepdims=True) - table_ASR.mean(0, keepdims=True) + whole)
