"""A job's own results set how wide its beliefs are: what they show of spreads, and how likely each width makes them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import special

from dpk_core.selection.decide.job_results import Knowledge
from dpk_core.selection.posterior import Model
from dpk_core.selection.spreads import WEIGHT, measured

APART = (0.35, 0.7, 1.4)
"""What a teacher adds beyond the line, in parts of what was believed of it; with `APART_CHANCES`."""
APART_CHANCES = (0.35, 0.4, 0.25)
LUCK = (0.5, 1.0, 2.0, 4.0, 8.0)
"""How much luck a seed has before its training is full, in parts of what was believed of it; with `LUCK_CHANCES`. About
one on most tables of CIFAR-100, up to ten on those of Fashion-MNIST (`make bench-prior`)."""
LUCK_CHANCES = (0.25, 0.35, 0.2, 0.12, 0.08)


def fitted(job: Knowledge) -> Knowledge:
    """The same with a prior whose spreads are as wide as the job's own results ask for; its slope, and by how much it
    knows teachers to be better or worse, stay what they were.

    What is trained fully on two seeds or more teaches the job its own spreads, rung by rung (`measured`). How far
    teachers lie from the line and how much luck is in unfinished curves differs by a factor of ten between data sets:
    each width counts as far as it makes the results likely (empirical Bayes over a grid; Gelman et al., Bayesian Data
    Analysis, section 5.3). And results further apart than even these hold possible show that they are not those of
    this data: then all grow by one factor, so that a single surprising curve does not make its teacher all but certain
    (a normal model with unknown variance, section 3.3; never below 1).

    Before any result the prior stays as it is, less luck and all: a first look also tells how much luck there is, which
    no policy counts as a gain, and it is cheap.
    """
    if not any(curve for arm in job.ranked for curve in arm.curves.values()):
        return job
    own = replace(measured([job], job.prior), teacher_spread=job.prior.teacher_spread)
    job = _likeliest(replace(job, prior=own))
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


def log_likelihood(job: Knowledge) -> float:
    """Of the results under the prior, each width with its chance, in nats, but for what no prior changes."""
    return float(special.logsumexp(_nats(job)))


def _nats(job: Knowledge) -> NDArray[np.float64]:
    """The logarithm of each width's chance, and of how likely it makes the results."""
    likely = [[Model(_as_wide(job, apart, luck)).log_likelihood for luck in LUCK] for apart in APART]
    return np.asarray(np.log(np.outer(APART_CHANCES, LUCK_CHANCES)) + np.array(likely))


def _likeliest(job: Knowledge) -> Knowledge:
    """The mean of what the grid's widths say, each with its chance after the results."""
    chances = special.softmax(_nats(job))
    return _as_wide(job, _mean(chances.sum(1), APART), _mean(chances.sum(0), LUCK))


def _mean(chances: NDArray[np.float64], widths: tuple[float, ...]) -> float:
    """Root mean square: variances add up."""
    return float(np.sqrt(chances @ np.square(widths)))


def _as_wide(job: Knowledge, apart: float, luck: float) -> Knowledge:
    prior = job.prior
    wide = replace(
        prior, teacher_spread=apart * prior.teacher_spread,
        seed_spread=(*(luck * value for value in prior.seed_spread[:-1]), prior.seed_spread[-1]),
        known=tuple(replace(each, spread=apart * each.spread) for each in prior.known),
    )  # fmt: skip
    return replace(job, prior=wide)
