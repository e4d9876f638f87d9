"""What was measured of each teacher, to compare the cheap signs afterwards with what full training gave.

Accuracies are fractions in 0 … 1 from the validation split. A rung is a fraction of the full training; 1 is the whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dpk_core.selection.decide.job_results import LEAST_SEEDS
from dpk_core.selection.statistics import mean

FULL = 1.0
LONGEST_PROBE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherRecord:
    """A teacher by its label, and its student's accuracy by rung and seed; one that failed is left out.

    `scores`: transfer scores by name (`dpk_core.selection.evaluate.rules`); `gaps`: the CKA gap to the student, which
    depends on the seed. `audited`: trained fully although the probes had dropped it.
    """

    teacher: str
    teacher_accuracy: float | None = None
    reached: Mapping[float, Mapping[int, float]] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)
    gaps: Mapping[int, float] = field(default_factory=dict)
    audited: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonGroup:
    """The teachers of one student under one protocol: everything in it may be compared."""

    records: tuple[TeacherRecord, ...]

    @property
    def trained(self) -> tuple[TeacherRecord, ...]:
        """The teachers trained fully on `LEAST_SEEDS` or more, as for the verdict; by name, so that the order they came
        in does not matter."""
        able = (each for each in self.records if len(each.reached.get(FULL, ())) >= LEAST_SEEDS)
        return tuple(sorted(able, key=lambda each: each.teacher))

    @property
    def common_rungs(self) -> tuple[float, ...]:
        """The rungs of probes that all teachers with a result reached on a seed they share, rising.

        What is longer than half of the training is a probe only where trainings stop nowhere before.
        """
        probed = [each for each in self.records if each.reached]
        rungs = sorted({rung for each in probed for rung in each.reached if rung < FULL})
        short = [rung for rung in rungs if rung <= LONGEST_PROBE]
        return tuple(rung for rung in short or rungs if shared_seeds(probed, rung))

    def gaps(self) -> dict[str, float]:
        """Mean CKA gap by teacher over the seeds that all who have one share; where they share none, over its own."""
        able = [each.gaps for each in self.records if each.gaps]
        shared = set.intersection(*map(set, able)) if able else set()
        return {
            each.teacher: mean({seed: gap for seed, gap in each.gaps.items() if not shared or seed in shared})
            for each in self.records
            if each.gaps
        }

    def levels(self, rung: float) -> dict[str, float]:
        """Mean accuracy at the rung by teacher, over the seeds that all of those who reached it share.

        Where they share none, each over its own. At FULL, of the fully trained teachers.
        """
        able = self.trained if rung == FULL else [each for each in self.records if each.reached.get(rung)]
        shared = shared_seeds(able, rung)
        means = {}
        for each in able:
            found = each.reached[rung]
            means[each.teacher] = mean({seed: found[seed] for seed in shared} if shared else found)
        return means


def shared_seeds(records: Sequence[TeacherRecord], rung: float) -> tuple[int, ...]:
    """The seeds on which all of them reached the rung."""
    if not records:
        return ()
    return tuple(sorted(set.intersection(*(set(each.reached.get(rung, ())) for each in records))))
