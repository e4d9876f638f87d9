"""What a verdict is judged by: the belief, and which teachers it was measured on how far."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from dpk_core.selection.decide.job_results import Arm, Knowledge
from dpk_core.selection.decide.summary import Outlook, outlook
from dpk_core.selection.posterior import Posterior
from dpk_core.selection.statistics import Estimate

LEAST_SEEDS = 2
"""Full trainings that it takes to tell a better teacher from noise."""


@dataclass(frozen=True, kw_only=True)
class View:
    """A job's results and the belief about them. Every group of teachers is in the leaderboard's order.

    `margin`: differences up to it do not count, as a fraction.
    """

    knowledge: Knowledge
    belief: Posterior
    margin: float

    @cached_property
    def among(self) -> Outlook:
        """The outlook on the teachers."""
        return outlook(self.belief.teachers)

    @cached_property
    def teachers(self) -> tuple[Arm, ...]:
        """All teachers that did not fail, as the leaderboard ranks them."""
        return tuple(arm for arm in self.belief.ranking if arm.teacher is not None)

    @cached_property
    def tried(self) -> tuple[Arm, ...]:
        """The teachers under which a student came to some rung."""
        return tuple(arm for arm in self.teachers if is_tried(arm))

    @cached_property
    def finished(self) -> tuple[Arm, ...]:
        """The teachers under which a student was trained fully on at least one seed."""
        return tuple(arm for arm in self.teachers if self._full_seeds(arm))

    @cached_property
    def trained(self) -> tuple[Arm, ...]:
        """The teachers under which a student was trained fully on `LEAST_SEEDS` seeds or more."""
        return tuple(arm for arm in self.teachers if self._full_seeds(arm) >= LEAST_SEEDS)

    @property
    def has_baseline(self) -> bool:
        """Whether the student without a teacher was trained fully on `LEAST_SEEDS` seeds or more."""
        return any(arm.teacher is None and self._full_seeds(arm) >= LEAST_SEEDS for arm in self.belief.arms)

    @cached_property
    def helpful(self) -> tuple[Arm, ...]:
        """Those of `trained` that are clearly better than no teacher."""
        return tuple(arm for arm in self.trained if self.clear(self.gain(arm)))

    @property
    def not_ruled_out(self) -> tuple[Arm, ...]:
        """The teachers outside `trained` that belong to the smallest set that holds the best one with confidence."""
        trained = {arm.teacher for arm in self.trained}
        arms = {arm.teacher: arm for arm in self.belief.arms}
        return tuple(arms[teacher] for teacher in self.among.best_set if teacher not in trained)

    def gain(self, arm: Arm) -> Estimate:
        """Expected full accuracy over no teacher."""
        return self.belief.difference(arm.teacher, None)

    def clear(self, difference: Estimate) -> bool:
        """Whether a difference is certainly above 0 and large enough to count."""
        return difference.low > 0 and difference.value > self.margin

    def _full_seeds(self, arm: Arm) -> int:
        return len(arm.at(len(self.knowledge.rungs) - 1))


def is_tried(arm: Arm) -> bool:
    """Whether a student came to some rung under the arm."""
    return any(arm.curves.values())
