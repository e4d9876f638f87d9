"""What the belief says at any moment: who may be best, what choosing now may cost, and what more results may change.

Chances are counted over a fixed set of draws, so that the same results always give the same answer.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dpk_core.selection.decide.job_results import Step
from dpk_core.selection.posterior import Matrix, Model, Posterior, taught
from dpk_core.selection.statistics import CONFIDENCE

PRACTICAL_MARGIN = 0.003
"""Differences up to this size (.3 points) are of no practical use, however certain, unless a job says otherwise."""

DRAWS = 4096
PLANNING_DRAWS = 256
DRAW_SEED = 2206_06067


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """`chances`: of being the best by teacher; `regret`: expected accuracy lost by taking `choice`, as a fraction;
    `best_set`: the fewest arms that hold the best one with `confidence`, likeliest first."""

    choice: str | None
    chances: dict[str | None, float]
    regret: float
    best_set: tuple[str | None, ...]
    confidence: float


def outlook(posterior: Posterior, confidence: float = CONFIDENCE) -> Outlook:
    """The outlook on all ranked arms. `choice` has the highest mean; of equals, the first by name."""
    values_DA = sample(posterior)
    best_D = values_DA.argmax(1)
    chances_A = np.bincount(best_D, minlength=len(posterior.arms)) / len(best_D)
    names = [arm.teacher for arm in posterior.arms]
    choice = int(np.argmax(np.round(posterior.mean_A, 9)))
    # The choice leads the set among equals, then the likelier.
    order = sorted(range(len(names)), key=lambda i: (-chances_A[i], i != choice, i))
    held = np.cumsum(chances_A[order])
    fewest = int(np.searchsorted(held, confidence - 1e-12)) + 1
    return Outlook(
        choice=names[choice], chances={names[i]: float(chances_A[i]) for i in order},
        regret=expected_regret(posterior, names[choice]),
        best_set=tuple(names[i] for i in order[:fewest]), confidence=confidence,
    )  # fmt: skip


def alike(chance: float, other: float) -> bool:
    """Whether two arms' chances of being the best differ by no more than twice the standard error of that difference,
    counted over DRAWS draws of which each has but one best."""
    return abs(chance - other) <= 2 * math.sqrt((chance + other - (chance - other) ** 2) / DRAWS)


def expected_regret(posterior: Posterior, teacher: str | None) -> float:
    """Accuracy that taking `teacher` is expected to lose against the best arm, as a fraction."""
    values_DA = sample(posterior)
    index = [arm.teacher for arm in posterior.arms].index(teacher)
    return float((values_DA.max(1) - values_DA[:, index]).mean())


def chance_within(posterior: Posterior, teacher: str | None, margin: float) -> float:
    """The chance that no arm is better than `teacher`'s by more than `margin`."""
    values_DA = sample(posterior)
    index = [arm.teacher for arm in posterior.arms].index(teacher)
    return float((values_DA.max(1) - values_DA[:, index] <= margin).mean())


def worth(model: Model, steps: Sequence[Step]) -> float:
    """By how much the steps are expected to raise the accuracy of the then best choice (knowledge gradient)."""
    moved_DA = _moved(model, steps)
    return max(0.0, float(moved_DA.max(1).mean() - moved_DA.mean(0).max()))


def chance_of_change(model: Model, steps: Sequence[Step], teacher: str | None) -> float:
    """The chance that after the steps another teacher than `teacher` would be chosen."""
    kept = taught(model.arms)
    if not steps or not kept:
        return 0.0
    taken = [model.arms[index].teacher for index in kept].index(teacher)
    return float((_moved(model, steps)[:, kept].argmax(1) != taken).mean())


def sample(posterior: Posterior) -> Matrix:
    """Draws of every arm's full accuracy, DRAWS x A. What all arms share is left as it is: it decides nothing."""
    roots_AA = _root(posterior.covariance_AA)
    return posterior.mean_A + _normals(DRAWS, len(posterior.arms)) @ roots_AA.T


def _moved(model: Model, steps: Sequence[Step]) -> Matrix:
    change_AP = model.change(steps)
    return model.posterior.mean_A + _normals(PLANNING_DRAWS, change_AP.shape[1]) @ change_AP.T


def _root(covariance_AA: Matrix) -> Matrix:
    """The symmetric square root. Any rank will do, and arms that are alike stay alike: it does not depend on which
    eigenvectors an equal eigenvalue happens to get."""
    values, vectors = np.linalg.eigh((covariance_AA + covariance_AA.T) / 2)
    return np.asarray(vectors * np.sqrt(values.clip(min=0)) @ vectors.T)


@functools.lru_cache(maxsize=64)
def _normals(count: int, width: int) -> NDArray[np.float64]:
    """Standard normals in pairs of opposite sign, so that every mean of them is exactly zero."""
    half = np.random.Generator(np.random.PCG64(DRAW_SEED)).standard_normal((count // 2, width))
    return np.concatenate((half, -half))
