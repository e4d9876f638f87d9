"""Differences between teachers, paired by seed: what all of them share on a seed cancels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


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
