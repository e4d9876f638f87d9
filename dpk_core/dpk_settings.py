"""Every choice of Dynamic Prior Knowledge that can be switched (method sheet, sections 4 to 6), as stored with a run.

The defaults are the authors' for CIFAR-100; `IMAGENET_DPK` holds theirs for ImageNet.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

ShareSchedule = Literal["cka", "sigmoid_cka", "fixed", "random", "step", "exponential", "cosine", "none"]
StageName = Literal["last", "second_last", "third_last", "fourth_last"]
ExtraName = Literal["at", "sp", "rkd", "dkd", "dist"]
"""The rivals that are plain functions of logits or of tapped maps, and so can be terms of DPK's loss."""

FOLLOWS_CKA: frozenset[ShareSchedule] = frozenset({"cka", "sigmoid_cka"})
"""The schedules that ask the networks."""
NEEDS_FRACTION: frozenset[ShareSchedule] = frozenset({"step", "exponential", "cosine"})
"""The schedules that ask how much of the training is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareSettings:
    """How π, the share of tokens that the teacher hands over, is found at every step.

    `cka`: 1 − CKA; `sigmoid_cka`: 1 − sigmoid(CKA); `fixed`: `value`; `random`: drawn per step and stage between `end`
    and `start`; `step`, `exponential`, `cosine`: from `start` in the first step to `end` in the last; `none`: 0.
    """

    schedule: ShareSchedule = "cka"
    floor: float = 0.15
    """A share that follows CKA is never below this."""
    fallback: float = 0.9
    """The share where CKA is undefined (NaN), at most `least_cka` (so also where it is negative) or at least 1."""
    least_cka: float = 0.1
    least_tokens: int = 2
    """Under every share above 0 the teacher hands over at least this many of a picture's tokens, or half of them where
    that is less."""
    lag: bool = False
    """Follow the CKA of the step before, so that a step waits for no number of its own. Step 0 follows its own."""
    value: float = 0.5
    start: float = 0.9
    end: float = 0.15
    levels: int = 4
    """Levels of equal length and distance that `step` goes down by."""

    def __post_init__(self) -> None:
        for name in ("floor", "fallback", "value", "start", "end"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share and must be in 0 … 1, not {getattr(self, name)}")
        if not 0 <= self.least_cka < 1:
            raise ValueError(f"least_cka must be at least 0 and below 1, not {self.least_cka}")
        if self.lag and self.schedule not in FOLLOWS_CKA:
            raise ValueError(f"lag is for a share that follows CKA; {self.schedule!r} does not")
        if self.schedule == "exponential" and not (self.start and self.end):
            raise ValueError("an exponential schedule needs a start and an end above 0")
        if self.least_tokens < 0:
            raise ValueError(f"least_tokens must not be negative, not {self.least_tokens}")
        if self.levels < 2:
            raise ValueError(f"levels must be at least 2, not {self.levels}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformerSize:
    """Width, depth (blocks) and heads of an encoder or a decoder."""

    width: int
    depth: int
    heads: int

    def __post_init__(self) -> None:
        if self.width < 2 or self.depth < 1 or self.heads < 1:
            raise ValueError(f"width must be at least 2, depth and heads at least 1, not {self}")
        if self.width % self.heads:
            raise ValueError(f"width {self.width} cannot be split into {self.heads} heads")


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSettings:
    """One stage, named from the deepest map upwards, and its weight wᵢ. What is None is taken from the profile."""

    name: StageName
    weight: float
    patch: int | None = None
    encoder: TransformerSize | None = None
    decoder: TransformerSize | None = None

    def __post_init__(self) -> None:
        if self.weight < 0:
            raise ValueError(f"the weight of stage {self.name} must not be negative, not {self.weight}")
        if self.patch is not None and self.patch < 1:
            raise ValueError(f"the patch size of stage {self.name} must be at least 1, not {self.patch}")


CIFAR_STAGES = (StageSettings(name="last", weight=1.0), StageSettings(name="second_last", weight=0.6))
IMAGENET_STAGES = (StageSettings(name="last", weight=1.0), StageSettings(name="second_last", weight=1.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtraLoss:
    """A rival's loss as one more term. Weight 1 is the rival's own strength: all that it adds to its cross-entropy."""

    name: ExtraName
    weight: float

    def __post_init__(self) -> None:
        if self.name not in get_args(ExtraName):
            raise ValueError(f"{self.name!r} is not one of the extra losses {', '.join(get_args(ExtraName))}")
        if not 0 <= self.weight < math.inf:
            raise ValueError(f"the weight of the extra loss {self.name} must be 0 or more, not {self.weight}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DpkSettings:
    """`L = γ·CE + α·T²·KL(teacher ‖ student) + β·Σ wᵢ·MSEᵢ`: γ, α, β and T, the stages with their wᵢ, and the share;
    and what is added to it, nothing in the paper."""

    class_weight: float = 1.0
    logit_weight: float = 1.0
    feature_weight: float = 0.3
    temperature: float = 1.0
    stages: tuple[StageSettings, ...] = CIFAR_STAGES
    share: ShareSettings = ShareSettings()
    extra_losses: tuple[ExtraLoss, ...] = ()
    align_corners: bool = True
    """How a student's map is resized to the teacher's: corner pixels on corner pixels, or corner on corner."""

    def __post_init__(self) -> None:
        for name in ("class_weight", "logit_weight", "feature_weight"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, not {getattr(self, name)}")
        if self.temperature <= 0:
            raise ValueError(f"temperature must be above 0, not {self.temperature}")
        names = [stage.name for stage in self.stages]
        if not names or len(set(names)) != len(names):
            raise ValueError(f"stages must be one or more different ones, not {names}")
        extra = [loss.name for loss in self.extra_losses]
        if len(set(extra)) != len(extra):
            raise ValueError(f"extra losses must be different ones, not {extra}")


@dataclass(frozen=True, slots=True, kw_only=True)
class KdSettings:
    """`L = γ·CE + α·T²·KL(teacher ‖ student)`: γ, α and T. The defaults are those behind the KD rows of the CIFAR-100
    tables (CRD, 1910.10699); DPK's loss without its feature term has 1, 1 and 1."""

    class_weight: float = 0.1
    logit_weight: float = 0.9
    temperature: float = 4.0

    def __post_init__(self) -> None:
        for name in ("class_weight", "logit_weight"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, not {getattr(self, name)}")
        if self.temperature <= 0:
            raise ValueError(f"temperature must be above 0, not {self.temperature}")


CIFAR_SHARE = ShareSettings()
IMAGENET_SHARE = ShareSettings(floor=0.1, fallback=0.8, least_tokens=4)
CIFAR_DPK = DpkSettings()
IMAGENET_DPK = DpkSettings(
    class_weight=0.8, logit_weight=0.8, feature_weight=0.2, stages=IMAGENET_STAGES, share=IMAGENET_SHARE
)
