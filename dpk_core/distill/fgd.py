"""Focal and Global Distillation for detectors (Yang et al., CVPR 2022, 2111.11837).

Focal: squared differences, weighted by the teacher's attention, apart in boxes and background. Global: relations of all
positions through a GcBlock. Two things differ from the authors' published code: it indexes its mask by column and
row, here by row and column as the map is; and a box has the cells that it touches, without one more at its end.

Shapes: B pictures, M boxes, C channels, H x W map.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dpk_core.catalogue.detection.levels import Level
from dpk_core.data.boxes import BoxTargets
from dpk_core.detection_settings import Canvas, Kind, LevelName
from dpk_core.distill.method import StepContext, StepOutcome
from dpk_core.distill.precision import full_precision
from dpk_core.distill.pyramid import PyramidMethod, detector_outcome

TEMPERATURE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class FgdWeights:
    """α of the boxes, β of the background, γ of the attention, λ of the relations."""

    boxes: float
    background: float
    attention: float
    relations: float


WEIGHTS: Mapping[Kind, FgdWeights] = {
    "fasterrcnn": FgdWeights(boxes=5e-5, background=2.5e-5, attention=5e-5, relations=5e-7),
    "retinanet": FgdWeights(boxes=1e-3, background=5e-4, attention=1e-3, relations=5e-6),
}
"""The authors', for two-stage and for anchor-based one-stage detectors."""


class Fgd(PyramidMethod):
    """L = own losses + weight · Σ (α·boxes + β·background + γ·attention + λ·relations) over the levels."""

    name: ClassVar[str] = "fgd"

    def __init__(
        self,
        student: nn.Module,
        teacher: nn.Module,
        levels: Mapping[LevelName, Level],
        canvas: Canvas,
        weights: FgdWeights,
        weight: float,
    ) -> None:
        super().__init__(student, teacher, levels)
        self.canvas, self.weights, self.weight = canvas, weights, weight
        self.extras.update({name: FgdLevel(level) for name, level in levels.items()})

    def forward(self, pictures_BCHW: Tensor, labels_B: BoxTargets, step: StepContext) -> StepOutcome:  # noqa: ARG002 - no chance
        """Parts: the detector's losses, and `loss_features` before the weight."""
        losses, maps = self.run_both(pictures_BCHW, labels_B)
        found = []
        for name, (student_BCHW, teacher_BCHW) in maps.items():
            masks = focal_masks(labels_B, self.canvas, (teacher_BCHW.shape[-2], teacher_BCHW.shape[-1]))
            level = cast(FgdLevel, self.extras[name])
            adapted_BCHW = level.adapt(student_BCHW)
            found.append(
                focal_loss(adapted_BCHW, teacher_BCHW, *masks, self.weights)
                + self.weights.relations * relation_loss(*level.relate(adapted_BCHW, teacher_BCHW))
            )
        loss = torch.stack(found).sum()
        return detector_outcome(losses, {"features": self.weight * loss}, {"loss_features": loss})


class FgdLevel(nn.Module):
    """What trains at a level: an adaptation where channels differ, and a GcBlock for each network."""

    def __init__(self, level: Level) -> None:
        super().__init__()
        student, teacher = level.student_channels, level.teacher_channels
        self.adapt: nn.Module = nn.Identity() if student == teacher else nn.Conv2d(student, teacher, kernel_size=1)
        self.student_context, self.teacher_context = GlobalContext(teacher), GlobalContext(teacher)

    def relate(self, student_BCHW: Tensor, teacher_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Both maps with the context of all their positions."""
        return self.student_context(student_BCHW), self.teacher_context(teacher_BCHW)


class GlobalContext(nn.Module):
    """GcBlock (Cao et al., 1904.11492): adds a transform of the attended mean of all positions to each."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.attend = nn.Conv2d(channels, 1, kernel_size=1)
        narrow = max(1, channels // 2)
        self.transform = nn.Sequential(
            nn.Linear(channels, narrow), nn.LayerNorm(narrow), nn.ReLU(), nn.Linear(narrow, channels)
        )
        nn.init.kaiming_normal_(self.attend.weight, nonlinearity="relu")
        nn.init.zeros_(self.attend.bias if self.attend.bias is not None else torch.empty(0))
        for parameter in self.transform[-1].parameters():
            nn.init.zeros_(parameter)  # each map begins as itself

    def forward(self, map_BCHW: Tensor) -> Tensor:
        """The map of the same shape."""
        attention_B1N = self.attend(map_BCHW).flatten(2).softmax(2)
        context_BC = (map_BCHW.flatten(2) * attention_B1N).sum(2)
        related_BCHW: Tensor = map_BCHW + self.transform(context_BC)[..., None, None]
        return related_BCHW


def focal_masks(targets: BoxTargets, canvas: Canvas, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """M·S and (1 − M)·S (B x H x W each): cells in boxes weigh one over the cells of their smallest box, the others one
    over the number of cells in the background. Crowds are background. No host synchronisation."""
    height, width = size
    boxes_BM4 = targets.boxes_BM4
    left_BM, top_BM, right_BM, bottom_BM = boxes_BM4.unbind(-1)
    across, down = width / canvas.width, height / canvas.height
    left_BM, right_BM = (left_BM * across).floor(), (right_BM * across).ceil()
    top_BM, bottom_BM = (top_BM * down).floor(), (bottom_BM * down).ceil()
    columns_W = torch.arange(width, device=boxes_BM4.device)
    rows_H = torch.arange(height, device=boxes_BM4.device)
    across_BMW = (columns_W >= left_BM[..., None]) & (columns_W < right_BM[..., None])
    down_BMH = (rows_H >= top_BM[..., None]) & (rows_H < bottom_BM[..., None])
    trained_BM = targets.present_BM & ~targets.crowd_BM
    inside_BMHW = down_BMH[..., None] & across_BMW[..., None, :] & trained_BM[..., None, None]
    area_BM = ((right_BM - left_BM) * (bottom_BM - top_BM)).clamp_min(1)
    foreground_BHW = (inside_BMHW / area_BM[..., None, None]).amax(1)
    background_BHW = (foreground_BHW == 0).to(foreground_BHW.dtype)
    cells_B11 = background_BHW.sum((1, 2), keepdim=True).clamp_min(1)
    return foreground_BHW, background_BHW / cells_B11


@full_precision
def focal_loss(
    student_BCHW: Tensor, teacher_BCHW: Tensor, foreground_BHW: Tensor, background_BHW: Tensor, weights: FgdWeights
) -> Tensor:
    """α · boxes + β · background + γ · attention, each a sum over the map and a mean over pictures."""
    (theirs_BHW, theirs_BC), (ours_BHW, ours_BC) = attention(teacher_BCHW), attention(student_BCHW)
    squared_BCHW = (teacher_BCHW - student_BCHW).square() * theirs_BHW[:, None] * theirs_BC[..., None, None]
    squared_BHW = squared_BCHW.sum(1)
    boxes, background = (squared_BHW * foreground_BHW).sum(), (squared_BHW * background_BHW).sum()
    apart = (ours_BHW - theirs_BHW).abs().sum() + (ours_BC - theirs_BC).abs().sum()
    weighted = weights.boxes * boxes + weights.background * background + weights.attention * apart
    return weighted / len(student_BCHW)


@full_precision
def relation_loss(student_BCHW: Tensor, teacher_BCHW: Tensor) -> Tensor:
    """Squared differences, summed over the map, as a mean over pictures."""
    return F.mse_loss(student_BCHW, teacher_BCHW, reduction="sum") / len(student_BCHW)


def attention(map_BCHW: Tensor) -> tuple[Tensor, Tensor]:
    """Where (B x H x W) and in which channels (B x C) a map is strong: softmax of mean absolute values, mean 1."""
    size_BCHW = map_BCHW.abs()
    where_BHW = size_BCHW.mean(1)
    spatial_BN = (where_BHW.flatten(1) / TEMPERATURE).softmax(1) * where_BHW[0].numel()
    channels_BC = (size_BCHW.mean((2, 3)) / TEMPERATURE).softmax(1) * size_BCHW.shape[1]
    return spatial_BN.view_as(where_BHW), channels_BC
