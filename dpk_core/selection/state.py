"""What the correlations look at: validation results only. The test split never gets here."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """A teacher by its label `family/name[@weights]` (None: no teacher) with its validation results by seed, as
    fractions in 0 … 1.

    `failed`: no further result will come; what is there still counts for curves, but the arm is not ranked.
    """

    teacher: str | None
    teacher_accuracy: float | None = None
    probe: dict[int, float] = field(default_factory=dict)
    full: dict[int, float] = field(default_factory=dict)
    failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A teacher's accuracy and the mean full accuracy of a student it taught, from an earlier job.

    `group` names the student: only differences within a group say anything about teachers.
    """

    group: str
    teacher_accuracy: float
    student_accuracy: float


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """All that is known in a job. `arms` in the job's order; `history` from the store, same method and data set."""

    arms: tuple[Arm, ...]
    history: tuple[Pair, ...] = ()
