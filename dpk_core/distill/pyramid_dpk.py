"""Dynamic Prior Knowledge on a feature pyramid (ICLR 2023, 2206.06067; method sheet, section 8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from dpk_core.catalogue.detection.levels import Level
from dpk_core.data.boxes import BoxTargets
from dpk_core.detection_settings import LevelName, PyramidSettings
from dpk_core.distill.feature_mse import regressor
from dpk_core.distill.losses import feature_mse
from dpk_core.distill.method import StepContext, StepOutcome
from dpk_core.distill.pyramid import Maps, PyramidMethod, detector_outcome
from dpk_core.distill.rebuilding import rebuild, step_shares
from dpk_core.distill.running_cka import RunningCka
from dpk_core.distill.stage import PriorStage


class PyramidDpk(PyramidMethod):
    """L = own losses + β · (Σ MSE of rebuilt maps, over the coarser levels, + Σ MSE(r(Fs), Ft) over the others).

    There is no term of logits. CKA is of the last batches together, kept in `extras` and so in checkpoints.
    """

    name: ClassVar[str] = "dpk"

    def __init__(
        self,
        student: nn.Module,
        teacher: nn.Module,
        levels: Mapping[LevelName, Level],
        modules: Mapping[str, PriorStage],
        settings: PyramidSettings,
    ) -> None:
        """`modules`: one for each level that goes through DPK, by its name; `levels`: these and the plain ones."""
        super().__init__(student, teacher, levels)
        self.settings = settings
        self.stages = dict(modules)
        self.plain: dict[str, nn.Module] = {
            name: regressor(level) for name, level in levels.items() if name not in modules
        }
        self.ckas = {name: RunningCka(settings.cka_steps) for name in modules}
        self.extras.update(self.stages)
        self.extras.update(self.plain)
        self.extras.update({f"cka_{name}": each for name, each in self.ckas.items()})

    def forward(self, pictures_BCHW: Tensor, labels_B: BoxTargets, step: StepContext) -> StepOutcome:
        """Parts: the detector's losses; `loss_features` before β; and for each level of DPK `share.<level>`,
        `cka.<level>` and `share_fallback.<level>`. Raises ValueError below 4 pictures."""
        losses, maps = self.run_both(pictures_BCHW, labels_B)
        rebuilt, parts = self._rebuilt(maps, step)
        drawn = [feature_mse(each(maps[name][0]), maps[name][1]) for name, each in self.plain.items()]
        loss = torch.stack([*rebuilt, *drawn]).sum()
        terms = {"features": self.settings.feature_weight * loss}
        return detector_outcome(losses, terms, {"loss_features": loss, **parts})

    def _rebuilt(self, maps: Maps, step: StepContext) -> tuple[list[Tensor], dict[str, Tensor]]:
        if not self.stages:
            return [], {}
        pairs = {name: maps[name] for name in self.stages}
        cka_S = torch.stack([self.ckas[name](student.detach(), teacher) for name, (student, teacher) in pairs.items()])
        share = self.settings.share
        return rebuild(self.stages, share, pairs, cka_S, step_shares(share, cka_S, step), step)
