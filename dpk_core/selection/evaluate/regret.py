"""What following a rule loses: against the best of the fully trained teachers, and against following another rule.

Intervals come from the seeds: draws of the teachers' true levels around their means, with the spread of the two-way
layout teacher × seed and a Student's tail for how little is known of it. The noise of the validation pictures is not in
them. Legend: D draws, A teachers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dpk_core.selection.estimate import CONFIDENCE
from dpk_core.selection.evaluate.records import FULL, ComparisonGroup, shared_seeds
from dpk_core.selection.statistics import SEED, Matrix

DRAWS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Regret:
    """A loss of accuracy, or what is between two, as a fraction; without an interval where one seed is all there is."""

    value: float
    low: float | None
    high: float | None
    confidence: float = CONFIDENCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Accuracy lost, as a fraction: by the means, and in every draw of the levels (None where one seed is all)."""

    value: float
    drawn_D: Matrix | None

    def over(self, other: Loss) -> Loss:
        """By how much more this loses than `other`, paired: what both lose in a draw cancels."""
        drawn = None if self.drawn_D is None or other.drawn_D is None else self.drawn_D - other.drawn_D
        return Loss(value=self.value - other.value, drawn_D=drawn)

    @property
    def regret(self) -> Regret:
        """With the interval of its draws, which holds the value."""
        if self.drawn_D is None:
            return Regret(value=self.value, low=None, high=None)
        low, high = np.quantile(self.drawn_D, [0.5 - CONFIDENCE / 2, 0.5 + CONFIDENCE / 2])
        return Regret(value=self.value, low=min(self.value, float(low)), high=max(self.value, float(high)))


def loss(levels: Mapping[str, float], sets: Sequence[Sequence[str]], draws_DA: Matrix | None) -> Loss | None:
    """Mean over the equally likely `sets` of what the best of a set loses; None without a set.

    `levels`: by teacher; `draws_DA`: of them, teachers by name.
    """
    if not sets:
        return None
    best = max(levels.values())
    value = math.fsum(best - max(levels[one] for one in some) for some in sets) / len(sets)
    if draws_DA is None:
        return Loss(value=value, drawn_D=None)
    places = {teacher: place for place, teacher in enumerate(sorted(levels))}
    taken_D = np.mean([draws_DA[:, [places[one] for one in some]].max(1) for some in sets], axis=0)
    return Loss(value=value, drawn_D=draws_DA.max(1) - taken_D)


def level_draws(group: ComparisonGroup) -> Matrix | None:
    """Of the fully trained teachers' levels, draws × teachers by name; None where one seed tells no spread."""
    trained = group.trained
    noise = paired_noise([each.reached[FULL] for each in trained])
    if noise is None:
        return None
    levels = group.levels(FULL)
    means_A = np.array([levels[each.teacher] for each in trained])
    random = np.random.Generator(np.random.PCG64(SEED))
    tail_D = np.sqrt(noise.freedom / random.chisquare(noise.freedom, DRAWS))
    seeds = len(shared_seeds(trained, FULL))
    spread_DA = random.standard_normal((DRAWS, len(trained))) * noise.sd / math.sqrt(seeds)
    return np.asarray(means_A + tail_D[:, None] * spread_DA)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedNoise:
    """Spread of one arm's result on one seed after arm means and seed means are taken out, with its degrees of freedom.

    Seeds share initialisation, batch order and augmentation across arms, so the part they have in common cancels in
    every difference between arms.
    """

    sd: float
    freedom: int


def paired_noise(arms: Sequence[Mapping[int, float]]) -> PairedNoise | None:
    """Residual of the two-way layout arm x seed over the seeds all `arms` have.

    None where it cannot be measured: fewer than two arms or fewer than two common seeds.
    """
    if len(arms) < 2:
        return None
    seeds = sorted(set.intersection(*(set(arm) for arm in arms)))
    if len(seeds) < 2:
        return None
    table = np.array([[arm[seed] for seed in seeds] for arm in arms])
    residual = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0, keepdims=True) + table.mean()
    freedom = (len(arms) - 1) * (len(seeds) - 1)
    return PairedNoise(sd=float(np.sqrt((residual**2).sum() / freedom)), freedom=freedom)
