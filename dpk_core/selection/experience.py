"""What earlier jobs teach a new one: spreads, how far a student follows its teacher, and the teachers themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dpk_core.selection.causes import slope_evidence
from dpk_core.selection.decide.job_results import Knowledge, Prior
from dpk_core.selection.fitting import fitted
from dpk_core.selection.known_teachers import Residuals, recognised
from dpk_core.selection.spreads import measured, taught

SLOPE_VARIES = 0.1
"""Sd of the slope from one student to another with the same data and method. Those of two students were .08 to .11
apart (`make bench-claim`), as with an sd of .06 to .08; that is of four pairs. However many jobs there were, a new one
may differ so much."""


def learn(jobs: Sequence[Knowledge], base: Prior) -> Prior:
    """The prior for a job like `jobs`: same method and kind of data, same rungs. Without any job, `base`.

    Spreads and teachers are learnt from what was trained fully (`spreads`). The slope is learnt from every result, of
    trainings that were dropped as well: a job trains fully those that did well, among which the slope would look
    flatter than it is, but given all results on which it decided, its choice says nothing more (Rubin 1976).
    """
    spreads = measured(jobs, base)
    prior = _with_slope(spreads, jobs)
    found = [whole for job in jobs if (whole := taught(job)) is not None]
    residuals = [
        Residuals(
            by_teacher=dict(zip(each.names, (each.y - prior.slope * each.x).tolist(), strict=True)), noise=each.noise
        )
        for each in found
    ]
    return recognised(prior, residuals)


def _with_slope(prior: Prior, jobs: Sequence[Knowledge]) -> Prior:
    """`prior` with its slope told by `jobs`: their mean, and about it what differs from student to student.

    What a teacher adds for every student alike is the same in all jobs that have it, so jobs with the same teachers
    count for less than as many others.
    """
    varies = min(SLOPE_VARIES, prior.slope_spread / 2)
    if varies == 0:
        return prior
    seen = Counter(arm.teacher for job in jobs for arm in job.teachers.ranked)
    precision = 1 / (prior.slope_spread**2 - varies**2)
    weighed = precision * prior.slope
    for job in jobs:
        names = [arm.teacher for arm in job.teachers.ranked]
        if len(names) < 2:
            continue
        weight = 1 / (1 + prior.shared * (float(np.mean([seen[name] for name in names])) - 1))
        told, pull = slope_evidence(fitted(replace(job, prior=prior)))
        weight /= 1 + told * varies**2
        precision, weighed = precision + weight * told, weighed + weight * pull
    return replace(prior, slope=float(weighed / precision), slope_spread=float(np.sqrt(1 / precision + varies**2)))
