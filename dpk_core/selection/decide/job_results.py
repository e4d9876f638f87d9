"""What a policy may look at: each arm's validation curve by seed, what it costs, and what is believed beforehand.

Accuracies are fractions in 0 … 1 and come from the validation split only; the test split never gets here. Costs are
seconds of training. A rung is a fraction of the full training; the last one is 1, the whole of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

STANDARD_RUNGS = (0.125, 0.25, 0.5, 1.0)
"""What the entries of the default `Prior` stand for."""
EIGHTHS = tuple(part / 8 for part in range(1, 9))
"""Where a job looks at its trainings unless it says otherwise: what lies between two decisions is read as well."""

TOLD_APART = 0.18
"""Part of the variance of a picture's being told right that is one training's own, and neither the picture's nor the
arm's nor the seed's on it: .08 to .33 on tables of accuracies from 18 to 79% (`make bench-prior`)."""
UNTIMED = 0.6
"""Sd of what training under one teacher costs about the mean over teachers, as a part of it: .1 to .7 on the tables.
Nearly the most of these, as a limit is a promise; it counts until a teacher's first training was timed."""
TIMED = 0.06
"""Sd of what another seed costs under a teacher whose pace was measured, as a part of it: .02 to .11 there."""
EVEN = 0.5
"""Accuracy at which pictures make the most of luck."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """A teacher, or (`teacher` None) no teacher, with its student's validation accuracy at each rung reached, by seed.

    `cost`: seconds that one full training under it is expected to take, `cost_spread`: sd of what it takes then, as a
    part of that. `failed`: nothing more will come, and it is not ranked. `begun`: the seeds whose training was paid
    for, whatever came of it; None: those that have a curve. `stored`: by seed and rung, how much of the training up to
    there exists already, as a part of the full one.
    """

    teacher: str | None
    teacher_accuracy: float | None = None
    cost: float = 1.0
    cost_spread: float = 0.0
    curves: Mapping[int, tuple[float, ...]] = field(default_factory=dict)
    failed: bool = False
    begun: frozenset[int] | None = None
    stored: Mapping[int, tuple[float, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # One value that is not a number would make every chance one; a training that diverged is a failed arm.
        known = [value for curve in self.curves.values() for value in curve]
        if not np.isfinite([*known, self.cost, self.teacher_accuracy or 0.0]).all():
            raise ValueError(f"{self.label}: accuracies and costs must be finite; a training that diverged has failed")
        if self.cost <= 0:
            raise ValueError(f"{self.label}: a full training must cost something, not {self.cost}")

    def reached(self, seed: int) -> int:
        """How many rungs the seed's training has reached."""
        return len(self.curves.get(seed, ()))

    @property
    def begun_seeds(self) -> frozenset[int]:
        """The seeds whose training counts as begun."""
        return frozenset(seed for seed in self.curves if self.reached(seed)) if self.begun is None else self.begun

    @property
    def label(self) -> str:
        """The name people see: the teacher without its family, or `no teacher`."""
        return "no teacher" if self.teacher is None else self.teacher.partition("/")[2] or self.teacher

    def at(self, rung: int) -> dict[int, float]:
        """The accuracies at a rung (0-based) by seed, of the seeds that reached it."""
        return {seed: curve[rung] for seed, curve in sorted(self.curves.items()) if len(curve) > rung}


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownTeacher:
    """What earlier jobs showed a teacher to add beyond the line, and the sd of what it may add for another student."""

    teacher: str
    offset: float
    spread: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """What is believed before a job's first result; standard deviations as fractions.

    The paper's claim, a student that follows its teacher, is `slope` (points of student per point of teacher) and how
    well it is known, `slope_spread`; it enters nowhere else. The numbers are those that tables of Fashion-MNIST and
    CIFAR-100 students ask for (`make bench-prior`), widened. `follows`, `tilt`, `mismatch` and `seed_spread` have an
    entry for each rung.
    """

    slope: float = 0.2
    slope_spread: float = 0.2
    teacher_spread: float = 0.01
    """Of what a teacher adds beyond the line."""
    shared: float = 0.5
    """Part of that variance which a teacher adds for every student alike."""
    known: tuple[KnownTeacher, ...] = ()
    """The teachers that earlier jobs tried on the same data with the same method."""
    baseline_spread: float = 0.03
    """Of the arm without a teacher around the teachers' level."""
    follows: tuple[float, ...] = (0.0, 0.0, 0.45, 1.0)
    """Part of the slope that shows at a rung: students of good teachers pull ahead late."""
    tilt: tuple[float, ...] = (0.07, 0.07, 0.05, 0.0)
    """Of how far the slope at a rung is from that part."""
    mismatch: tuple[float, ...] = (0.003, 0.0025, 0.002, 0.0)
    """Of how far an arm's rung misleads about its full training, after its slope and what it misses of all alike."""
    seed_spread: tuple[float, ...] = (0.012, 0.01, 0.006, 0.005)
    """Of one result over seeds, after what the seed does to all arms alike and beside the luck of pictures."""
    persistence: float = 0.02
    """Correlation of a seed's luck between a rung and the one at half of its training."""
    common_spread: float = 0.004
    """Of what a seed does to all arms alike: initialisation, batch order and augmentation are the same."""
    picture_part: float = 0.05
    """Part of the variance of a picture's being told right that is one arm's own, the same on all seeds."""

    def of(self, teacher: str | None) -> KnownTeacher | None:
        """What is known of a teacher; None: nothing."""
        return next((each for each in self.known if each.teacher == teacher), None)

    def at(self, rungs: Sequence[float]) -> Prior:
        """A prior for `STANDARD_RUNGS` as one for other rungs.

        Between them it is linear in the logarithm of the fraction, below the first as at the first.
        """
        known, wanted = (np.log2(np.array(each)) for each in (STANDARD_RUNGS, rungs))
        entries = (self.follows, self.tilt, self.mismatch, self.seed_spread)
        follows, tilt, mismatch, seed = (tuple(np.interp(wanted, known, each).tolist()) for each in entries)
        return replace(self, follows=follows, tilt=tilt, mismatch=mismatch, seed_spread=seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """All that is known in a job. `arms` in any order, which must not matter; `seeds` in the order of their use.

    `pictures`: how many validation pictures there are; None: so many that they are no matter of luck.
    """

    arms: tuple[Arm, ...]
    rungs: tuple[float, ...]
    seeds: tuple[int, ...]
    prior: Prior = Prior()
    pictures: int | None = None

    def __post_init__(self) -> None:
        if not self.rungs or self.rungs[-1] != 1 or list(self.rungs) != sorted(set(self.rungs)) or self.rungs[0] <= 0:
            raise ValueError(f"rungs must rise to 1, not {self.rungs}")
        prior = self.prior
        if {len(each) for each in (prior.follows, prior.tilt, prior.mismatch, prior.seed_spread)} != {len(self.rungs)}:
            raise ValueError(f"the prior must say of each of {len(self.rungs)} rungs what shows at it, and how surely")
        if len({arm.teacher for arm in self.arms}) != len(self.arms):
            raise ValueError("each teacher must be there once")

    def arm(self, teacher: str | None) -> Arm:
        """The arm of a teacher."""
        return next(arm for arm in self.arms if arm.teacher == teacher)

    @property
    def ranked(self) -> tuple[Arm, ...]:
        """The arms that did not fail, by name, so that the order they came in does not matter."""
        return tuple(sorted((arm for arm in self.arms if not arm.failed), key=lambda arm: arm.teacher or ""))

    @property
    def picture_luck(self) -> float:
        """Sd of what the choice of validation pictures does to one result alone, about the same at every rung."""
        return self._over_pictures(TOLD_APART)

    @property
    def picture_spread(self) -> float:
        """Sd of what that choice does to one arm and not to the others, the same on all seeds and rungs."""
        return self._over_pictures(self.prior.picture_part)

    def _over_pictures(self, part: float) -> float:
        if self.pictures is None:
            return 0.0
        known = [arm.teacher_accuracy for arm in self.ranked if arm.teacher_accuracy is not None]
        accuracy = float(np.mean(known)) if known else EVEN
        return float(np.sqrt(part * accuracy * (1 - accuracy) / self.pictures))

    @property
    def teachers(self) -> Knowledge:
        """The same without the arm that has no teacher: what policies look at."""
        return replace(self, arms=tuple(arm for arm in self.arms if arm.teacher is not None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Carry the training of `teacher`'s student on `seed` up to rung `rung` (0-based), through those before it."""

    teacher: str | None
    seed: int
    rung: int


def step_cost(knowledge: Knowledge, step: Step) -> float:
    """Seconds that the step is expected to take, given what the training has reached and what of it is stored."""
    arm = knowledge.arm(step.teacher)
    reached = arm.reached(step.seed)
    if step.rung < reached:
        return 0.0
    had = max(knowledge.rungs[reached - 1] if reached else 0.0, _stored(arm, step))
    return arm.cost * (knowledge.rungs[step.rung] - had)


def is_free(knowledge: Knowledge, step: Step) -> bool:
    """Whether all of the step is stored already: it costs nothing, and no training begins with it."""
    return _stored(knowledge.arm(step.teacher), step) >= knowledge.rungs[step.rung]


def free_steps(knowledge: Knowledge) -> tuple[Step, ...]:
    """Each training that did not fail to the furthest rung that is stored and not reached yet."""
    found = []
    for seed in knowledge.seeds:
        for arm in knowledge.ranked:
            ahead = (
                Step(teacher=arm.teacher, seed=seed, rung=rung)
                for rung in reversed(range(arm.reached(seed), len(knowledge.rungs)))
            )
            found += [step for step in ahead if is_free(knowledge, step)][:1]
    return tuple(found)


def _stored(arm: Arm, step: Step) -> float:
    by_rung = arm.stored.get(step.seed)
    return 0.0 if by_rung is None else by_rung[step.rung]
