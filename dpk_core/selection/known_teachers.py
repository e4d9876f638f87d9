"""What earlier jobs showed of a teacher itself: part of what it adds beyond the line, it adds for every student.

    r_iq = t_i + w_iq + noise        teacher i in job q: its students' full accuracy less the job's line

`t` has the share `shared` of the variance `teacher_spread`², `w` the rest. The share is measured by how teachers that
jobs have in common covary between them, and shrunk to the base where there are few.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dpk_core.selection.decide.job_results import KnownTeacher, Prior

WEIGHT = 8.0
"""Degrees of freedom that the base share is worth."""
MOST_SHARED = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Residuals:
    """One job's teachers: what each adds beyond the line, as a fraction, and the variance of what luck is in it."""

    by_teacher: Mapping[str, float]
    noise: float


def recognised(prior: Prior, jobs: Sequence[Residuals]) -> Prior:
    """`prior` with its share measured and every teacher of `jobs` known as far as they show it."""
    variance = prior.teacher_spread**2
    total, freedom = WEIGHT * prior.shared * variance, WEIGHT
    for one, other in itertools.combinations(jobs, 2):
        common = sorted(one.by_teacher.keys() & other.by_teacher.keys())
        if len(common) > 2:
            pairs = np.array([(one.by_teacher[name], other.by_teacher[name]) for name in common])
            total += float(np.cov(pairs.T)[0, 1]) * (len(common) - 1)
            freedom += len(common) - 1
    shared = min(MOST_SHARED, max(0.0, total / freedom / variance)) if variance > 0 else 0.0
    names = sorted({name for job in jobs for name in job.by_teacher})
    known = tuple(_known(name, jobs, shared * variance, (1 - shared) * variance) for name in names)
    return replace(prior, shared=shared, known=known)


def _known(name: str, jobs: Sequence[Residuals], common: float, own: float) -> KnownTeacher:
    seen = [(job.by_teacher[name], own + job.noise) for job in jobs if name in job.by_teacher]
    if common <= 0:
        return KnownTeacher(teacher=name, offset=0.0, spread=float(np.sqrt(own)))
    precision = 1 / common + sum(1 / variance for _, variance in seen)
    offset = sum(value / variance for value, variance in seen) / precision
    return KnownTeacher(teacher=name, offset=float(offset), spread=float(np.sqrt(1 / precision + own)))
