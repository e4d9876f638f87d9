"""Dynamic Prior Knowledge (ICLR 2023, 2206.06067): the whole training step. Method sheet, sections 4 and 5."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dpk_core.catalogue.tapping import STAGES
from dpk_core.distill.cka import unbiased_cka
from dpk_core.distill.extra_losses import EXTRA_LOSSES
from dpk_core.distill.inputs import Taps
from dpk_core.distill.lag import LaggedCka
from dpk_core.distill.losses import logit_loss
from dpk_core.distill.method import StepContext, StepOutcome, outcome
from dpk_core.distill.rebuilding import rebuild, step_shares
from dpk_core.distill.stage import PriorStage
from dpk_core.distill.tapped import PairOutputs, TappedMethod, resize_like
from dpk_core.dpk_settings import DpkSettings


class Dpk(TappedMethod):
    """Teaches with a share of the teacher's tokens as prior knowledge; by default the share follows CKA at every step.

    `extras` holds one `PriorStage` for each stage of the settings and, where the share lags a step, its memory.
    """

    name: ClassVar[str] = "dpk"

    def __init__(
        self,
        student: nn.Module,
        teacher: nn.Module,
        taps: Taps,
        modules: Mapping[str, PriorStage],
        settings: DpkSettings,
    ) -> None:
        """`modules`: one for each stage of the settings, by its name."""
        super().__init__(student, teacher, taps)
        self.settings = settings
        self.stages: dict[str, PriorStage] = {stage.name: modules[stage.name] for stage in settings.stages}
        self.extras.update(self.stages)
        self.lagged: LaggedCka | None = None
        if settings.share.lag:
            self.lagged = LaggedCka(len(self.stages)).to(next(student.parameters()).device)
            self.extras["lagged_cka"] = self.lagged

    def forward(self, pictures_BCHW: Tensor, labels_B: Tensor, step: StepContext) -> StepOutcome:
        """Parts: `loss_class`, `loss_logits`, `loss_features` (before γ, α and β), `loss_extra.<name>` (before its
        weight) and for each stage `share.<stage>` (of the tokens, as given), `cka.<stage>` (of this step) and
        `share_fallback.<stage>` (1 where the rule's fallback was taken).

        An undefined CKA is reported as 0. Raises ValueError below 4 pictures, and where an extra loss or a schedule
        needs the length of the training and the step does not know it.
        """
        settings = self.settings
        seen = self.run_both(pictures_BCHW)
        loss_class = F.cross_entropy(seen.logits_BC, labels_B)
        loss_logits = logit_loss(seen.logits_BC, seen.teacher_logits_BC, settings.temperature)
        loss_features, parts = self._features(self._pairs(seen), step)
        terms = {
            "class": settings.class_weight * loss_class,
            "logits": settings.logit_weight * loss_logits,
            "features": settings.feature_weight * loss_features,
        }
        losses = {"loss_class": loss_class, "loss_logits": loss_logits, "loss_features": loss_features}
        for extra in settings.extra_losses:
            loss = losses[f"loss_extra.{extra.name}"] = EXTRA_LOSSES[extra.name](seen, labels_B, step)
            terms[f"extra.{extra.name}"] = extra.weight * loss
        return outcome(terms, seen.logits_BC, losses | parts)

    def _pairs(self, seen: PairOutputs) -> dict[str, tuple[Tensor, Tensor]]:
        """Each stage's two maps, the student's resized to the teacher's: both stitched and compared by CKA."""
        pairs: dict[str, tuple[Tensor, Tensor]] = {}
        for stage in self.settings.stages:
            index = STAGES.index(stage.name)
            teacher_BCHW = seen.teacher_maps[index]
            student_BCHW = resize_like(
                seen.student_maps[index], teacher_BCHW, align_corners=self.settings.align_corners
            )
            pairs[stage.name] = (student_BCHW, teacher_BCHW)
        return pairs

    def _features(
        self, maps: Mapping[str, tuple[Tensor, Tensor]], step: StepContext
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Σ wᵢ·MSEᵢ and the parts of each stage."""
        of_all = (step.world.gather_all(student.detach(), teacher) for student, teacher in maps.values())
        ckas = torch.stack([unbiased_cka(student, teacher) for student, teacher in of_all])
        rebuilt, parts = rebuild(self.stages, self.settings.share, maps, ckas, self._shares(ckas, step), step)
        losses = [stage.weight * loss for stage, loss in zip(self.settings.stages, rebuilt, strict=True)]
        return torch.stack(losses).sum(), parts

    def _shares(self, ckas: Tensor, step: StepContext) -> tuple[Tensor, Tensor]:
        """π of each stage and whether it is the fallback, on the CPU unless they follow this step's own CKA."""
        known = ckas
        if self.lagged is not None:
            known = self.lagged.last() if step.step > 0 else ckas
            self.lagged.keep(ckas)
        return step_shares(self.settings.share, known, step)
