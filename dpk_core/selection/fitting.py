"""A job's own results set how wide its beliefs are: what they show of spreads, and what curves have still to rise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from dpk_core.selection.knowledge import Knowledge
from dpk_core.selection.posterior import Model
from dpk_core.selection.spreads import WEIGHT, measured

RISE = 0.11
"""Sd over seeds of a curve that has g still to rise: RISE · √g. Where 40, 12 and 4 points were missing it was 7, 4 and
1.7 points (`benchmarks/tables/fashion-resnet8w8-*`)."""
SLOWING = 1.6
"""What is still to rise falls with the fraction of the training to this power (the same tables)."""


def fitted(job: Knowledge) -> Knowledge:
    """The same with a prior whose spreads are as wide as the job's own results ask for; its slope, and what it knows of
    teachers, stay what they were.

    What is trained fully on two seeds or more teaches the job its own spreads, rung by rung. A rung from which curves
    have far to rise says little, whatever was believed of it (`RISE`). And results further apart than even these hold
    possible show that they are not those of this data: then all grow by one factor, so that a single surprising curve
    does not make its teacher all but certain. It is the scale of a normal model with unknown variance (Gelman et al.,
    Bayesian Data Analysis, section 3.3), never below 1.
    """
    own = measured([job], job.prior)
    job = replace(job, prior=replace(own, seed_spread=_rising(job, own.seed_spread)))
    model, prior = Model(job), job.prior
    factor = float(np.sqrt((WEIGHT + model.misfit) / (WEIGHT + model.freedom)))
    if factor <= 1:
        return job
    wide = replace(
        prior, slope_spread=factor * prior.slope_spread, teacher_spread=factor * prior.teacher_spread,
        baseline_spread=factor * prior.baseline_spread, common_spread=factor * prior.common_spread,
        tilt=tuple(factor * value for value in prior.tilt),
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
