"""What earlier jobs teach a new one: the prior's spreads and slope, measured and shrunk where evidence is thin.

Moments, not a fit: each spread is what is left of a variance after the noise that is known to be in it. Every measured
variance counts for its degrees of freedom, beside the base prior's, which count for `WEIGHT`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from dpk_core.selection.knowledge import Arm, Knowledge, Prior
from dpk_core.selection.known_teachers import Residuals, recognised
from dpk_core.selection.posterior import Model

WEIGHT = 8.0
"""Degrees of freedom that the base prior is worth."""

RISE = 0.11
"""Sd over seeds of a curve that has g still to rise: RISE · √g. Where 40, 12 and 4 points were missing it was 7, 4 and
1.7 points (`benchmarks/tables/fashion-resnet8w8-*`)."""
SLOWING = 1.6
"""What is still to rise falls with the fraction of the training to this power (the same tables)."""

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


@dataclass(slots=True)
class _Line:
    """Student over teacher accuracy within jobs: sums for the slope and for what lies off the line."""

    xx: float = 0.0
    xy: float = 0.0
    yy: float = 0.0
    freedom: float = 0.0
    noise: list[float] = field(default_factory=list)
    jobs: list[_Taught] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Taught:
    """A job's teachers by name, with x and y about their means and the variance of luck in y."""

    names: tuple[str, ...]
    x: Matrix
    y: Matrix
    noise: float

    def residuals(self, slope: float) -> Residuals:
        left = self.y - slope * self.x
        return Residuals(by_teacher=dict(zip(self.names, left.tolist(), strict=True)), noise=self.noise)


def learn(jobs: Sequence[Knowledge], base: Prior) -> Prior:
    """The prior for a job like `jobs`: same method and kind of data, same rungs, each with arms trained fully on two
    or more seeds. Arms and seeds that are not whole are left out; without any job, `base`.
    """
    rungs = len(base.mismatch)
    seed = [_Pool(value**2) for value in base.seed_spread]
    mismatch = [_Pool(value**2) for value in base.mismatch]
    common, teacher, baseline = (
        _Pool(value**2) for value in (base.common_spread, base.teacher_spread, base.baseline_spread)
    )
    line = _Line()
    for job in jobs:
        arms, table_ASR = _whole(job)
        if len(arms) < 3:
            continue
        seeds = table_ASR.shape[1]
        residual_ASR = _residual(table_ASR)
        freedom = (len(arms) - 1) * (seeds - 1)
        noise_R = (residual_ASR**2).sum((0, 1)) / freedom
        for rung in range(rungs):
            seed[rung].add(float(noise_R[rung]), freedom)
        between = float(table_ASR[..., -1].mean(0).var(ddof=1)) - float(noise_R[-1]) / len(arms)
        common.add(max(0.0, between), seeds - 1)
        means_AR = table_ASR.mean(1)
        rises_ASR = table_ASR[..., -1:] - table_ASR
        rise_noise_R = (_residual(rises_ASR) ** 2).sum((0, 1)) / freedom
        for rung in range(rungs - 1):
            apart = float((means_AR[:, -1] - means_AR[:, rung]).var(ddof=1)) - float(rise_noise_R[rung]) / seeds
            mismatch[rung].add(max(0.0, apart), len(arms) - 1)
        _add_line(line, baseline, arms, means_AR[:, -1], float(noise_R[-1]) / seeds)
    slope_weight = base.teacher_spread**2 / base.slope_spread**2
    slope = (line.xy + slope_weight * base.slope) / (line.xx + slope_weight)
    if line.freedom > 0:
        off_line = (line.yy - 2 * slope * line.xy + slope**2 * line.xx) / line.freedom - float(np.mean(line.noise))
        teacher.add(max(0.0, off_line), line.freedom)
    falling = np.maximum.accumulate([pool.sd() for pool in mismatch[:-1]][::-1])[::-1] if rungs > 1 else np.empty(0)
    learnt = replace(
        base, slope=float(slope), slope_spread=float(teacher.sd() / np.sqrt(line.xx + slope_weight)),
        teacher_spread=teacher.sd(), baseline_spread=baseline.sd(), common_spread=common.sd(),
        seed_spread=tuple(pool.sd() for pool in seed), mismatch=(*(float(value) for value in falling), 0.0),
    )  # fmt: skip
    return recognised(learnt, [job.residuals(float(slope)) for job in line.jobs])


def fitted(job: Knowledge) -> Knowledge:
    """The same with a prior whose spreads are as wide as the job's own results ask for; its slope, and what it knows of
    teachers, stay what they were.

    What is trained fully on two seeds or more teaches the job its own spreads, rung by rung. A rung from which curves
    have far to rise says little, whatever was believed of it (`RISE`). And results further apart than even these hold
    possible show that they are not those of this data: then all grow by one factor, so that a single surprising curve
    does not make its teacher all but certain. It is the scale of a normal model with unknown variance (Gelman et al.,
    Bayesian Data Analysis, section 3.3), never below 1.
    """
    own = learn([job], job.prior)
    before = job.prior
    kept = replace(
        own, slope=before.slope, slope_spread=before.slope_spread, shared=before.shared, known=before.known,
        seed_spread=_rising(job, own.seed_spread),
    )  # fmt: skip
    job = replace(job, prior=kept)
    model, prior = Model(job), job.prior
    factor = float(np.sqrt((WEIGHT + model.misfit) / (WEIGHT + model.freedom)))
    if factor <= 1:
        return job
    wide = replace(
        prior, slope_spread=factor * prior.slope_spread, teacher_spread=factor * prior.teacher_spread,
        baseline_spread=factor * prior.baseline_spread, common_spread=factor * prior.common_spread,
        mismatch=tuple(factor * value for value in prior.mismatch),
        seed_spread=tuple(factor * value for value in prior.seed_spread),
        known=tuple(replace(each, spread=factor * each.spread) for each in prior.known),
    )  # fmt: skip
    return replace(job, prior=wide)


def _rising(job: Knowledge, seed_spread: tuple[float, ...]) -> tuple[float, ...]:
    """Seed spreads at least as wide as what the curves have still to rise makes them, but no wider for that than arms
    of one seed lie apart.

    Curves end where full trainings do, or before there is one, about where the teachers are. From rungs that nobody
    reached as much is missing as from the last one reached, less what that much more of the training brings.
    """
    last = len(job.rungs) - 1
    ends = [value for arm in job.ranked for value in arm.at(last).values()]
    ends = ends or [arm.teacher_accuracy for arm in job.ranked if arm.teacher_accuracy is not None]
    if not ends:
        return seed_spread
    missing, part, found = 0.0, 1.0, []
    for rung, spread in enumerate(seed_spread[:-1]):
        by_arm = [arm.at(rung) for arm in job.ranked]
        seen = [value for by_seed in by_arm for value in by_seed.values()]
        if seen:
            missing = max(0.0, float(np.mean(ends)) - float(np.mean(seen)))
        elif rung:
            missing *= (job.rungs[rung - 1] / job.rungs[rung]) ** SLOWING
        expected = float(np.sqrt(seed_spread[-1] ** 2 + RISE**2 * missing))
        if (apart := _apart(by_arm)) is not None:
            part = min(1.0, apart / expected)
        found.append(max(spread, part * expected))
    return (*found, seed_spread[-1])


def _apart(by_arm: Sequence[Mapping[int, float]]) -> float | None:
    """Sd of arms about their seed's mean; None where no seed has three arms."""
    total, freedom = 0.0, 0
    for seed in sorted({seed for by_seed in by_arm for seed in by_seed}):
        values = [by_seed[seed] for by_seed in by_arm if seed in by_seed]
        if len(values) > 2:
            total += float(np.var(values)) * len(values)
            freedom += len(values) - 1
    return float(np.sqrt(total / freedom)) if freedom else None


def picture_spread(right_ASV: NDArray[np.bool_]) -> float | None:
    """Sd of what the choice of V validation pictures does to one arm and not to others, the same on all S seeds.

    From how much more two arms disagree, picture by picture, than two seeds of one arm. None below two arms or seeds.
    """
    arms, seeds, pictures = right_ASV.shape
    if arms < 2 or seeds < 2:
        return None
    right = right_ASV.astype(np.float64)
    rate_AV = right.mean(1)
    # E[p(1 - p)] of an arm and picture, without the bias of few seeds.
    own_A = (rate_AV * (1 - rate_AV)).mean(1) * seeds / (seeds - 1)
    apart = []
    for one in range(arms):
        for other in range(one + 1, arms):
            squared = float(((rate_AV[one] - rate_AV[other]) ** 2).mean()) - float(own_A[one] + own_A[other]) / seeds
            shift = float(rate_AV[one].mean() - rate_AV[other].mean())
            apart.append(squared - shift**2)
    return float(np.sqrt(max(0.0, float(np.mean(apart))) / (2 * pictures)))


def _add_line(line: _Line, baseline: _Pool, arms: tuple[Arm, ...], full_A: Matrix, noise: float) -> None:
    taught = [index for index, arm in enumerate(arms) if arm.teacher_accuracy is not None]
    if len(taught) < 3:
        return
    y = full_A[taught] - full_A[taught].mean()
    x = np.array([arms[index].teacher_accuracy for index in taught], dtype=np.float64)
    x -= x.mean()
    line.xx, line.xy, line.yy = line.xx + float(x @ x), line.xy + float(x @ y), line.yy + float(y @ y)
    line.freedom += len(taught) - 2
    line.noise.append(noise)
    line.jobs.append(_Taught(tuple(str(arms[index].teacher) for index in taught), x, y, noise))
    for index, arm in enumerate(arms):
        if arm.teacher is None:
            baseline.add(float((full_A[index] - full_A[taught].mean()) ** 2), 1)


def _whole(job: Knowledge) -> tuple[tuple[Arm, ...], Matrix]:
    """The arms that are trained fully on all of the job's common seeds, and their accuracies, A x S x R."""
    rungs = len(job.rungs)
    full = [{seed for seed, curve in arm.curves.items() if len(curve) == rungs} for arm in job.ranked]
    several = [index for index, seeds in enumerate(full) if len(seeds) > 1]
    if not several:
        return (), np.empty((0, 0, rungs))
    common = sorted(set.intersection(*(full[index] for index in several)))
    if len(common) < 2:
        return (), np.empty((0, 0, rungs))
    arms = tuple(job.ranked[index] for index in several)
    return arms, np.array([[arm.curves[seed] for seed in common] for arm in arms])


def _residual(table_ASR: Matrix) -> Matrix:
    """What is left when each rung's arm means and seed means are taken out."""
    whole = table_ASR.mean((0, 1), keepdims=True)
    return np.asarray(table_ASR - table_ASR.mean(1, keepdims=True) - table_ASR.mean(0, keepdims=True) + whole)
