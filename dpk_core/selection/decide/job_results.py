"""What a job knows when it decides: validation scores by arm, seed and rung, evidence by picture, and costs.

Scores are fractions of 1 and come from the validation split; the test split never gets here. Costs are device seconds
of training. A rung is a fraction of the full training; the last one is 1, the whole of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

EIGHTHS = tuple(part / 8 for part in range(1, 9))
"""Rungs of a job unless it says otherwise."""
COST_SD_UNTIMED = 0.6
"""Sd of an arm's cost as a part of the mean over arms: .1 to .7 on the tables. It counts until an arm was timed."""
COST_SD_TIMED = 0.06
"""The same for another seed of an arm that was timed: .02 to .11 on the tables."""
LEAST_SEEDS = 2
"""Full trainings that it takes to tell a better teacher from noise."""

Evidence = NDArray[np.generic]
"""A number per validation picture whose mean is the score: right or wrong for accuracy."""
Reached = Mapping[tuple[str | None, int], int]
"""How many rungs a training, by teacher and seed, has come through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """A teacher, or (`teacher` None) no teacher, with its student's score at each rung reached, by seed.

    `near_chance`: the teacher's score is within noise of chance. `paces`: by seed, device seconds that a full training
    takes at the pace of that seed's first run. `evidence`: of full trainings, by seed. `failed`: nothing more will
    come, and it is not ranked. `begun`: seeds whose training was started and charged, also if it failed; None: those
    with a curve. `stored`: by seed and rung, how much of the training up to there exists already, as a part of the full
    one.
    """

    teacher: str | None
    teacher_score: float | None = None
    near_chance: bool = False
    paces: Mapping[int, float] = field(default_factory=dict)
    curves: Mapping[int, tuple[float, ...]] = field(default_factory=dict)
    evidence: Mapping[int, Evidence] = field(default_factory=dict)
    failed: bool = False
    begun: frozenset[int] | None = None
    stored: Mapping[int, tuple[float, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # One value that is not a number would make every chance one; a training that diverged is a failed arm.
        known = [value for curve in self.curves.values() for value in curve]
        if not np.isfinite([*known, *self.paces.values(), self.teacher_score or 0.0]).all():
            raise ValueError(f"{self.label}: scores and costs must be finite; a training that diverged has failed")
        if any(pace <= 0 for pace in self.paces.values()):
            raise ValueError(f"{self.label}: a full training must cost something")

    def reached(self, seed: int) -> int:
        """How many rungs the seed's training has reached."""
        return len(self.curves.get(seed, ()))

    @property
    def is_tried(self) -> bool:
        """Whether a student came to some rung under it."""
        return any(self.curves.values())

    @property
    def begun_seeds(self) -> frozenset[int]:
        """The seeds whose training counts as begun."""
        return frozenset(seed for seed in self.curves if self.reached(seed)) if self.begun is None else self.begun

    @property
    def label(self) -> str:
        """The name people see: the teacher without its family, or `no teacher`."""
        return "no teacher" if self.teacher is None else self.teacher.partition("/")[2] or self.teacher

    def at(self, rung: int) -> dict[int, float]:
        """The scores at a rung (0-based) by seed, of the seeds that reached it."""
        return {seed: curve[rung] for seed, curve in sorted(self.curves.items()) if len(curve) > rung}


@dataclass(frozen=True, kw_only=True)
class JobResults:
    """All that is known in a job. `arms` in any order, which must not matter; `seeds` in the order of their use.

    `sampling_variance`: of a score over draws of its validation pictures; p(1−p)/V for an accuracy p on V pictures.
    `spend_near_chance`: teachers within noise of chance compete like all others. `exact_costs`: costs count as
    measured; otherwise in steps of a factor of two, so that a busy machine does not decide who trains next.
    """

    arms: tuple[Arm, ...]
    rungs: tuple[float, ...]
    seeds: tuple[int, ...]
    sampling_variance: float = 0.0
    spend_near_chance: bool = False
    exact_costs: bool = False

    def __post_init__(self) -> None:
        if not self.rungs or self.rungs[-1] != 1 or list(self.rungs) != sorted(set(self.rungs)) or self.rungs[0] <= 0:
            raise ValueError(f"rungs must rise to 1, not {self.rungs}")
        if len({arm.teacher for arm in self.arms}) != len(self.arms):
            raise ValueError("each teacher must be there once")

    @cached_property
    def _by_teacher(self) -> dict[str | None, Arm]:
        return {arm.teacher: arm for arm in self.arms}

    def arm(self, teacher: str | None) -> Arm:
        """The arm of a teacher."""
        return self._by_teacher[teacher]

    @property
    def alone(self) -> Arm | None:
        """The arm without a teacher; None where it is not there or failed."""
        found = self._by_teacher.get(None)
        return None if found is None or found.failed else found

    @cached_property
    def teachers(self) -> tuple[Arm, ...]:
        """The teachers' arms that did not fail, by name."""
        able = (arm for arm in self.arms if arm.teacher is not None and not arm.failed)
        return tuple(sorted(able, key=lambda arm: arm.teacher or ""))

    @cached_property
    def candidates(self) -> tuple[Arm, ...]:
        """The teachers that compete: those that learned something, unless all did not or the job asks for them."""
        able = tuple(arm for arm in self.teachers if not arm.near_chance)
        return self.teachers if self.spend_near_chance or not able else able

    @property
    def last(self) -> int:
        """The last rung (0-based): the full training."""
        return len(self.rungs) - 1

    @cached_property
    def _costs(self) -> dict[str | None, float]:
        """By arm. One that was not timed costs what the others cost on average, no teacher, which has less to do, what
        the cheapest costs; where nothing was timed, all cost 1."""
        timed = {arm.teacher: fmean(arm.paces.values()) for arm in self.arms if arm.paces}
        known = list(timed.values()) or [1.0]
        least, usual = min(known), fmean(known)
        costs = {each.teacher: timed.get(each.teacher, least if each.teacher is None else usual) for each in self.arms}
        if self.exact_costs:
            return costs
        return {teacher: least * 2.0 ** round(math.log2(cost / least)) for teacher, cost in costs.items()}

    @property
    def is_timed(self) -> bool:
        """Whether any training was timed."""
        return any(arm.paces for arm in self.arms)

    def cost(self, teacher: str | None) -> float:
        """Device seconds that one full training is expected to take."""
        return self._costs[teacher]

    def cost_sd(self, teacher: str | None) -> float:
        """Its sd as a part of it; none for an untimed student without a teacher, whose price is high already."""
        if self.arm(teacher).paces:
            return COST_SD_TIMED
        return 0.0 if teacher is None else COST_SD_UNTIMED

    def full_seeds(self, arm: Arm) -> tuple[int, ...]:
        """The seeds on which the arm was trained fully."""
        return tuple(seed for seed in self.seeds if arm.reached(seed) > self.last)

    def seen_at(self, reached: Reached, failed: Iterable[str | None]) -> JobResults:
        """What was known when trainings had come so far and only `failed` arms had failed."""
        gone = set(failed)

        def then(arm: Arm) -> Arm:
            counts = {seed: reached.get((arm.teacher, seed), 0) for seed in arm.curves}
            curves = {seed: arm.curves[seed][:count] for seed, count in counts.items() if count}
            evidence = {seed: each for seed, each in arm.evidence.items() if counts.get(seed, 0) > self.last}
            paces = {seed: pace for seed, pace in arm.paces.items() if counts.get(seed)}
            return replace(arm, curves=curves, evidence=evidence, paces=paces, failed=arm.teacher in gone)

        return replace(self, arms=tuple(then(arm) for arm in self.arms))


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Carry the training of `teacher`'s student on `seed` up to rung `rung` (0-based), through those before it."""

    teacher: str | None
    seed: int
    rung: int

    @property
    def training(self) -> tuple[str | None, int]:
        """The training it belongs to."""
        return self.teacher, self.seed


def step_cost(results: JobResults, step: Step) -> float:
    """Device seconds that the step is expected to take, given what the training has reached and what is stored."""
    arm = results.arm(step.teacher)
    reached = arm.reached(step.seed)
    if step.rung < reached:
        return 0.0
    had = max(results.rungs[reached - 1] if reached else 0.0, _stored(arm, step))
    return results.cost(step.teacher) * (results.rungs[step.rung] - had)


def is_free(results: JobResults, step: Step) -> bool:
    """Whether all of the step is stored already: it costs nothing, and no training begins with it."""
    return _stored(results.arm(step.teacher), step) >= results.rungs[step.rung]


def free_steps(results: JobResults) -> tuple[Step, ...]:
    """Each candidate's training to the furthest rung that is stored and not reached yet."""
    found = []
    for seed in results.seeds:
        for arm in results.candidates:
            ahead = (
                Step(teacher=arm.teacher, seed=seed, rung=rung)
                for rung in reversed(range(arm.reached(seed), len(results.rungs)))
            )
            found += [step for step in ahead if is_free(results, step)][:1]
    return tuple(found)


def _stored(arm: Arm, step: Step) -> float:
    by_rung = arm.stored.get(step.seed)
    return 0.0 if by_rung is None else by_rung[step.rung]
