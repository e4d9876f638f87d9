"""Knowledge review: deep student maps review shallow teacher maps (Chen et al., 2104.09044, sections 3.2 to 3.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dpk_core.distill.inputs import MethodInputs, Taps, deepest_taps
from dpk_core.distill.method import Method, StepContext, StepOutcome, outcome
from dpk_core.distill.pooling import average_pool
from dpk_core.distill.precision import full_precision
from dpk_core.distill.tapped import TappedMethod
from dpk_core.distill.warm_up import warm_up
from dpk_core.models.initialisation import own_randomness
from dpk_core.randomness import derive

MOST_CHANNELS = 512
"""Widest fused map."""

LEVELS = (4, 2, 1)
"""Sides of the averaged maps that the hierarchical loss compares beside the whole ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewOptions:
    """Weights of the terms; the authors tune the second by pair from 0.6 to 8, 1 is that of their ImageNet runs."""

    class_weight: float = 1.0
    feature_weight: float = 1.0


class Fusion(nn.Module):
    """The attention-based fusion of one level: the student's map with what comes from the level below it.

    M: channels of all fused maps. `deepest`: there is nothing below.
    """

    def __init__(self, student_channels: int, fused_channels: int, teacher_channels: int, *, deepest: bool) -> None:
        super().__init__()
        self.enter = nn.Sequential(
            nn.Conv2d(student_channels, fused_channels, kernel_size=1, bias=False), nn.BatchNorm2d(fused_channels)
        )
        self.leave = nn.Sequential(
            nn.Conv2d(fused_channels, teacher_channels, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(teacher_channels),
        )
        self.attention = None if deepest else nn.Conv2d(2 * fused_channels, 2, kernel_size=1)
        for convolution in (self.enter[0], self.leave[0]):
            nn.init.kaiming_uniform_(convolution.weight, a=1)  # type: ignore[arg-type]  # a convolution's is a tensor

    def forward(self, student_BCHW: Tensor, below_BMHW: Tensor | None, side: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """The map to compare with the teacher's and the fused map for the level above, both of height and width `side`.

        As in the authors' code the fused map is resized before its last convolution.
        """
        fused_BMHW: Tensor = self.enter(student_BCHW)
        if self.attention is not None:
            assert below_BMHW is not None
            below_BMHW = F.interpolate(below_BMHW, size=fused_BMHW.shape[-2:], mode="nearest")
            weights_B2HW = self.attention(torch.cat((fused_BMHW, below_BMHW), dim=1)).sigmoid()
            fused_BMHW = fused_BMHW * weights_B2HW[:, :1] + below_BMHW * weights_B2HW[:, 1:]
        fused_BMHW = F.interpolate(fused_BMHW, size=side, mode="nearest")
        return self.leave(fused_BMHW), fused_BMHW


class ReviewKd(TappedMethod):
    """L = CE + warm-up · β · Σ hierarchical losses, over all common stages and the globally averaged last map."""

    name: ClassVar[str] = "reviewkd"

    def __init__(
        self, student: nn.Module, teacher: nn.Module, taps: Taps, fusions: Sequence[Fusion], options: ReviewOptions
    ) -> None:
        """`fusions`: of the averaged last map, then of the taps from the deepest upwards."""
        super().__init__(student, teacher, taps)
        self.options = options
        self.fusions = list(fusions)
        self.extras["fusions"] = nn.ModuleList(fusions)

    def forward(self, pictures_BCHW: Tensor, labels_B: Tensor, step: StepContext) -> StepOutcome:
        """Parts: `loss_class`, `loss_features`, before their weights. Raises ValueError when the step does not know the
        length of the training."""
        seen = self.run_both(pictures_BCHW)
        loss_class = F.cross_entropy(seen.logits_BC, labels_B)
        losses, below_BMHW = [], None
        student_maps, teacher_maps = with_average(seen.student_maps), with_average(seen.teacher_maps)
        for fusion, student_BCHW, teacher_BCHW in zip(self.fusions, student_maps, teacher_maps, strict=True):
            side = (teacher_BCHW.shape[2], teacher_BCHW.shape[3])
            reviewed_BCHW, below_BMHW = fusion(student_BCHW, below_BMHW, side)
            losses.append(hierarchical_loss(reviewed_BCHW, teacher_BCHW))
        loss_features = torch.stack(losses).sum()
        terms = {
            "class": self.options.class_weight * loss_class,
            "features": warm_up(step) * self.options.feature_weight * loss_features,
        }
        return outcome(terms, seen.logits_BC, {"loss_class": loss_class, "loss_features": loss_features})


def with_average(maps: Sequence[Tensor]) -> list[Tensor]:
    """The maps, deepest first, behind the mean of the first over its positions."""
    return [maps[0].mean(dim=(2, 3), keepdim=True), *maps]


@full_precision
def hierarchical_loss(reviewed_BCHW: Tensor, teacher_BCHW: Tensor) -> Tensor:
    """Mean squared error of the maps and, each counting half as much as the one before, of their averages at the sides
    LEVELS that are smaller; over the sum of the weights."""
    weight = total = 1.0
    loss = F.mse_loss(reviewed_BCHW, teacher_BCHW)
    for side in LEVELS:
        if side >= min(teacher_BCHW.shape[2:]):
            continue
        weight /= 2
        total += weight
        loss = loss + weight * F.mse_loss(
            average_pool(reviewed_BCHW, side, side), average_pool(teacher_BCHW, side, side)
        )
    return loss / total


def build(inputs: MethodInputs) -> Method:
    """Knowledge review with the literature's sizes and weights."""
    teacher, _ = inputs.the_teacher()
    taps = deepest_taps(inputs)
    student_channels, teacher_channels = (
        [shape[1] for shape in (shapes[0], *shapes)] for shapes in (taps.student_shapes, taps.teacher_shapes)
    )
    fused_channels = min(MOST_CHANNELS, student_channels[0])
    with own_randomness(derive(inputs.seed, "reviewkd")):
        fusions = [
            Fusion(ours, fused_channels, theirs, deepest=index == 0).to(inputs.device)
            for index, (ours, theirs) in enumerate(zip(student_channels, teacher_channels, strict=True))
        ]
    return ReviewKd(inputs.student, teacher, taps, fusions, ReviewOptions())
