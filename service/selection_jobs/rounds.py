"""A round: one decision about who trains next, as it is stored. The next one is made when all of its steps are over."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from service.selection_jobs.schemas import PolicyName, StepPurpose

RoundStage = Literal["exploring", "confirming"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundStep:
    """Carry the training of `teacher`'s student (None: without a teacher) on `seed` to the end of epoch `epochs`."""

    teacher: str | None
    seed: int
    epochs: int
    purpose: StepPurpose


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What was decided, and what was known then.

    `chances` of being the best teacher and the expected `regret` of taking the likeliest, as fractions; `spent`:
    training seconds of students until then; `blind`: no teacher's full training was known, so that the chances
    could still fail. In the rounds that confirm, `promoted` and `audited` say whom they are
    about, whether anything of theirs was left to train or not.
    """

    stage: RoundStage
    policy: PolicyName
    steps: tuple[RoundStep, ...]
    reason: str
    chances: dict[str, float] = field(default_factory=dict)
    regret: float | None = None
    spent: float = 0.0
    promoted: tuple[str, ...] = ()
    audited: str | None = None
    blind: bool = False
