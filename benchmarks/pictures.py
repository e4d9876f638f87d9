"""Simulated jobs with known truth, picture by picture.

A picture is right where a probit says so; parts of it are the picture's, the arm's on it, the seed's on it and the
training's own. Legend: A arms (T teachers first, no teacher last), S seeds, R rungs, V pictures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

RUNGS = 8
SEED_SD = 0.005
"""Of what a seed does to one arm's true accuracy; `Cell.kind` t3 and outlier have more."""
COMMON_SD = 0.004
LEARNT_LATER = np.array([0.16, 0.10, 0.07, 0.05, 0.035, 0.02, 0.01, 0.0])
MISLEADING_SD = np.array([0.006, 0.005, 0.004, 0.004, 0.003, 0.003, 0.002, 0.0])
PICTURE, ARM_ON_PICTURE, SEED_ON_PICTURE, TRAINING_ON_PICTURE = 0.80, 0.02, 0.14, 0.04
OUTLIER = 0.05

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Cell:
    """A kind of job. `kind`: gainG (all teachers gain G points), oneG (one does), harm, ordinary, outlier, t3."""

    kind: str
    teachers: int
    seeds: int
    pictures: int
    base: float = 0.9

    @property
    def name(self) -> str:
        """As written in results."""
        return f"{self.kind} T{self.teachers} S{self.seeds} V{self.pictures} {self.base}"

    @property
    def has_best(self) -> bool:
        """Whether one teacher is truly the best."""
        return not self.kind.startswith("gain")

    def chance(self, job: int, *more: int) -> np.random.Generator:
        """The job's own generator."""
        key = [7, self.teachers, self.seeds, self.pictures, job, round(100 * self.base), *map(ord, self.kind), *more]
        return np.random.default_rng(key)


CELLS = (
    *(Cell(kind, teachers, 3, pictures) for pictures in (539, 5000) for teachers in (2, 4)
      for kind in ("gain0", "gain2", "gain5", "harm", "ordinary", "outlier", "t3")),
    *(Cell(kind, teachers, seeds, 539) for teachers, seeds in ((4, 2), (5, 5))
      for kind in ("gain0", "gain2", "gain5", "ordinary", "outlier", "t3")),
    *(Cell(kind, 4, 3, pictures) for pictures in (539, 5000) for kind in ("one1", "one2", "one3", "gain1", "gain3")),
    *(Cell(kind, 2, 3, 539, 0.7) for kind in ("gain0", "gain5")),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """`truth_A`; teachers' own accuracies `teacher_T`; `right_RASV` at the rungs that were asked for."""

    truth_A: Values
    teacher_T: Values
    right_RASV: NDArray[np.bool_]


def simulated(cell: Cell, chance: np.random.Generator, rungs: tuple[int, ...] = (RUNGS - 1,)) -> Simulated:
    """One job; `rungs` (0-based, rising): those whose pictures are drawn."""
    truth_A = np.append(_levels(cell, chance), cell.base)
    arms, seeds, pictures = len(truth_A), cell.seeds, cell.pictures
    if cell.kind == "t3":
        noise_ASR = SEED_SD / np.sqrt(3) * chance.standard_t(3, (arms, seeds, RUNGS))
    else:
        noise_ASR = SEED_SD * chance.standard_normal((arms, seeds, RUNGS))
    noise_ASR *= np.linspace(2.2, 1, RUNGS)
    if cell.kind == "outlier":
        noise_ASR[chance.integers(arms - 1), chance.integers(seeds)] -= OUTLIER
    rate_ASR = truth_A[:, None, None] - LEARNT_LATER + noise_ASR
    rate_ASR += (MISLEADING_SD * chance.standard_normal((arms, RUNGS)))[:, None]
    rate_ASR += COMMON_SD * chance.standard_normal(seeds)[:, None]
    limit_ASR = ndtri(rate_ASR.clip(0.02, 0.995)).astype(np.float32)

    def normal(share: float, *shape: int) -> NDArray[np.float32]:
        return np.float32(share**0.5) * chance.standard_normal(shape, dtype=np.float32)

    seen_ASV = (normal(PICTURE, pictures) + normal(ARM_ON_PICTURE, arms, pictures))[:, None]
    seen_ASV = seen_ASV + normal(SEED_ON_PICTURE, seeds, pictures)
    kept_ASV = normal(TRAINING_ON_PICTURE, arms, seeds, pictures)
    right = []
    for rung in rungs:
        own_ASV = kept_ASV
        if rung < RUNGS - 1:
            own_ASV = (kept_ASV + normal(TRAINING_ON_PICTURE, arms, seeds, pictures)) * np.float32(0.5**0.5)
        right.append(seen_ASV + own_ASV < limit_ASR[:, :, rung, None])
    y_T = truth_A[:-1]
    teacher_T = cell.base + 0.03 + 0.6 * (y_T - y_T.mean()) + 0.01 * chance.standard_normal(arms - 1)
    return Simulated(truth_A=truth_A, teacher_T=teacher_T.clip(0.3, 0.995), right_RASV=np.array(right))


def _levels(cell: Cell, chance: np.random.Generator) -> Values:
    level_T = np.full(cell.teachers, cell.base)
    if cell.kind.startswith("gain"):
        return level_T + float(cell.kind[4:]) / 100
    if cell.kind == "harm":
        return level_T - chance.uniform(0.005, 0.03, cell.teachers)
    if cell.kind.startswith("one"):
        level_T[chance.integers(cell.teachers)] += float(cell.kind[3:]) / 100
        return level_T
    return level_T + chance.uniform(0, 0.03) + 0.01 * chance.standard_normal(cell.teachers)
