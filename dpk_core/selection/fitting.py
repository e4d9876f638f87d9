"""A job's own results set how wide its beliefs are: what they show of spreads, and how likely each width makes them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dpk_core.selection.knowledge import Knowledge
from dpk_core.selection.posterior import Model
from dpk_core.selection.spreads import WEIGHT, measured

APART = (0.35, 0.7, 1.4)
"""What a teacher adds beyond the line, in parts of what was believed of it; with `APART_CHANCES`."""
APART_CHANCES = (0.35, 0.4, 0.25)
LUCK = (0.5, 1.0, 2.0, 4.0)
"""How much more luck a seed has at early rungs than in a full training, in parts of what was believed of it; with
`LUCK_CHANCES`. On most tables of Fashion-MNIST and CIFAR-100 up to one, for one student five (`make bench-prior`)."""
LUCK_CHANCES = (0.3, 0.4, 0.2, 0.1)


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


def _likeliest(job: Knowledge) -> Knowledge:
    """The mean of what the grid's widths say, each with its chance after the results."""
    nats = np.array([[Model(_as_wide(job, apart, luck)).log_likelihood for luck in LUCK] for apart in APART])
    chances = np.outer(APART_CHANCES, LUCK_CHANCES) * np.exp(nats - nats.max())
    chances /= chances.sum()
    return _as_wide(job, _mean(chances.sum(1), APART), _mean(chances.sum(0), LUCK))


def _mean(chances: NDArray[np.float64], widths: tuple[float, ...]) -> float:
    """Root mean square: variances add up."""
    return float(np.sqrt(chances @ np.square(widths)))


def _as_wide(job: Knowledge, apart: float, luck: float) -> Knowledge:
    prior = job.prior
    believed, full = np.square(prior.seed_spread[:-1]), prior.seed_spread[-1] ** 2
    # Where early luck is believed to be that of the end, it may still turn out to be more.
    more = np.maximum(believed - full, (1 - np.array(job.rungs[:-1])) * full)
    early = np.maximum(min(luck, 1.0) ** 2 * believed, believed + (luck**2 - 1) * more)
    wide = replace(
        prior, teacher_spread=apart * prior.teacher_spread,
        seed_spread=(*np.sqrt(early).tolist(), prior.seed_spread[-1]),
        known=tuple(replace(each, spread=apart * each.spread) for each in prior.known),
    )  # fmt: skip
    return replace(job, prior=wide)
