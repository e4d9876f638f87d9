"""Dynamic Prior Knowledge (ICLR 2023, 2206.06067): the whole training step. Method sheet, sections 4 and 5."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dpk_core.distill.cka import unbiased_cka
from dpk_core.distill.losses import logit_loss
from dpk_core.distill.masking import draw_noise
from dpk_core.distill.method import Method, StepContext, StepOutcome, outcome
from dpk_core.distill.share import CIFAR_SHARE, ShareRule, given_tokens
from dpk_core.distill.stage import PriorStage
from dpk_core.models.taps import FeatureTaps


@dataclass(frozen=True, slots=True, kw_only=True)
class DpkOptions:
    """`L = γ·CE + α·T²·KL(teacher ‖ student) + β·Σ wᵢ·MSEᵢ`; the authors' CIFAR-100 values are the defaults."""

    class_weight: float = 1.0
    logit_weight: float = 1.0
    feature_weight: float = 0.3
    temperature: float = 1.0
    stage_weights: Mapping[str, float] = field(default_factory=lambda: {"last": 1.0, "second_last": 0.6})
    share: ShareRule = CIFAR_SHARE


@dataclass(frozen=True, slots=True, kw_only=True)
class TappedStage:
    """A stage with the modules of student and teacher whose maps it joins."""

    student_tap: str
    teacher_tap: str
    module: PriorStage


class Dpk(Method):
    """Teaches with a share of the teacher's tokens as prior knowledge; the share follows CKA at every step."""

    name: ClassVar[str] = "dpk"
    needs_teacher: ClassVar[bool] = True

    def __init__(
        self,
        student: nn.Module,
        teacher: nn.Module,
        stages: Mapping[str, TappedStage],
        options: DpkOptions | None = None,
    ) -> None:
        """`stages`: by name, with the names of the options' stage weights."""
        super().__init__(student, teacher)
        self.options = options or DpkOptions()
        self.stages = dict(stages)
        self.extras.update({name: stage.module for name, stage in stages.items()})

    def forward(self, pictures_BCHW: Tensor, labels_B: Tensor, step: StepContext) -> StepOutcome:
        """Parts: `loss_class`, `loss_logits`, `loss_features` (before γ, α and β) and for each stage `share.<stage>`,
        `cka.<stage>` and `share_fallback.<stage>` (1 where the rule's fallback was taken).

        An undefined CKA is reported as 0, beside a `share_fallback` of 1. Raises ValueError below 4 pictures.
        """
        options = self.options
        logits_BC, teacher_logits_BC, maps = self._run(pictures_BCHW)
        loss_class = F.cross_entropy(logits_BC, labels_B)
        loss_logits = logit_loss(logits_BC, teacher_logits_BC, options.temperature)
        loss_features, parts = self._features(maps, step)
        total = (
            options.class_weight * loss_class
            + options.logit_weight * loss_logits
            + options.feature_weight * loss_features
        )
        losses = {"loss_class": loss_class, "loss_logits": loss_logits, "loss_features": loss_features}
        return outcome(total, logits_BC, losses | parts)

    def _run(self, pictures_BCHW: Tensor) -> tuple[Tensor, Tensor, dict[str, tuple[Tensor, Tensor]]]:
        """Logits of student and teacher, and each stage's two maps, the student's resized to the teacher's.

        These are the maps that are both stitched and compared by CKA.
        """
        assert self.teacher is not None
        stages = self.stages.values()
        with FeatureTaps(self.teacher, [stage.teacher_tap for stage in stages]) as teacher_taps:
            teacher_logits_BC = self.ask_teacher(pictures_BCHW)
        with FeatureTaps(self.student, [stage.student_tap for stage in stages]) as student_taps:
            logits_BC = self.student(pictures_BCHW)
        pairs = zip(self.stages, student_taps.maps, teacher_taps.maps, strict=True)
        return logits_BC, teacher_logits_BC, {name: (resize_like(s, t), t) for name, s, t in pairs}

    def _features(
        self, maps: Mapping[str, tuple[Tensor, Tensor]], step: StepContext
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Σ wᵢ·MSEᵢ and the parts of each stage."""
        ckas = torch.stack([unbiased_cka(student, teacher) for student, teacher in maps.values()])
        shares, fallbacks = self.options.share(ckas)
        parts: dict[str, Tensor] = {}
        losses = []
        # The step's one host synchronisation: how many tokens each side gets is a size, so the CPU must know it.
        for index, (name, share) in enumerate(zip(maps, shares.tolist(), strict=True)):
            student_BCHW, teacher_BCHW = maps[name]
            stage = self.stages[name].module
            noise_BN = draw_noise(
                len(student_BCHW), stage.tokens, seed=step.seed, step=step.step, stage=name, device=student_BCHW.device
            )
            done = stage(student_BCHW, teacher_BCHW, noise_BN, given_tokens(share, stage.tokens))
            losses.append(self.options.stage_weights[name] * done.loss)
            parts[f"share.{name}"] = shares[index]
            parts[f"cka.{name}"] = ckas[index].nan_to_num(0.0)
            parts[f"share_fallback.{name}"] = fallbacks[index].to(shares.dtype)
        return torch.stack(losses).sum(), parts


def resize_like(student_BCHW: Tensor, teacher_BCHW: Tensor) -> Tensor:
    """The student's map at the teacher's height and width, bilinear; untouched when they agree."""
    size = teacher_BCHW.shape[-2:]
    if student_BCHW.shape[-2:] == size:
        return student_BCHW
    return F.interpolate(student_BCHW, size=size, mode="bilinear", align_corners=False)
