"""What full trainings show, picture by picture: the crossed analysis of a job's teachers and of no teacher."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dpk_core.selection.belief.crossed import Gain, Scores, difference, final_scores, helping, tied
from dpk_core.selection.decide.job_results import LEAST_SEEDS, Arm
from dpk_core.selection.estimate import Estimate, around_score


@dataclass(frozen=True, slots=True, kw_only=True)
class FullTrainings:
    """`teachers`: those trained fully on `LEAST_SEEDS` seeds or more; `has_baseline`: no teacher was, too."""

    teachers: tuple[str, ...]
    has_baseline: bool
    scores: Scores

    def gain(self, teacher: str) -> Estimate:
        """Score over no teacher. Asked for only with a baseline."""
        return _estimate(difference(self.scores, self.teachers.index(teacher)))

    def gains(self) -> dict[str, Estimate]:
        """Every teacher's score over no teacher; empty without a baseline."""
        return {each: self.gain(each) for each in self.teachers} if self.has_baseline else {}

    def ahead(self, teacher: str, other: str) -> Estimate:
        """Score of `teacher` over that of `other`."""
        return _estimate(difference(self.scores, self.teachers.index(teacher), self.teachers.index(other)))

    def alone(self) -> Estimate:
        """Score without a teacher. Asked for only with a baseline."""
        return around_score(float(self.scores.mean_A[-1]), float(np.sqrt(self.scores.covariance_AA[-1, -1])))

    def helping(self, candidates: int, margin: float) -> tuple[str, ...]:
        """The teachers that are clearly better than no teacher although chosen among `candidates`. Asked for only with
        a baseline."""
        return tuple(self.teachers[place] for place in helping(self.scores, candidates, margin=margin).arms)

    def is_clear(self, teacher: str, candidates: int, margin: float) -> bool:
        """Whether the word for the gain over no teacher (helps, too small, harms) is one standard error away from
        every threshold at which it becomes another one."""
        gain = difference(self.scores, self.teachers.index(teacher))
        error, threshold = gain.standard_error, helping(self.scores, candidates).threshold
        helps = gain.value - error > max(margin, threshold * error)
        is_too_small = gain.low > error and gain.value + error < margin
        return helps or is_too_small or gain.high < -error

    def tied(self, teacher: str, margin: float) -> tuple[str, ...]:
        """The teachers that are not clearly worse than `teacher`. Asked for only with a baseline."""
        return tuple(self.teachers[place] for place in tied(self.scores, self.teachers.index(teacher), margin))


def full_trainings(teachers: Sequence[Arm], alone: Arm | None) -> FullTrainings | None:
    """The analysis of `teachers` and of no teacher; None where no teacher was trained on enough seeds."""
    trained = [arm for arm in teachers if _is_trained(arm)]
    if not trained:
        return None
    baseline = [alone] if alone is not None and _is_trained(alone) else []
    arms = [*trained, *baseline]
    pictures = next(len(each) for arm in arms for each in arm.evidence.values())
    seeds = sorted({seed for arm in arms for seed in arm.evidence})
    evidence_ASV = np.full((len(arms), len(seeds), pictures), np.nan, dtype=np.float32)
    for place, arm in enumerate(arms):
        for seed, evidence in arm.evidence.items():
            evidence_ASV[place, seeds.index(seed)] = evidence
    return FullTrainings(
        teachers=tuple(arm.teacher or "" for arm in trained), has_baseline=bool(baseline),
        scores=final_scores(evidence_ASV),
    )  # fmt: skip


def _is_trained(arm: Arm) -> bool:
    return len(arm.evidence) >= LEAST_SEEDS


def _estimate(gain: Gain) -> Estimate:
    return Estimate(value=gain.value, low=gain.low, high=gain.high)
