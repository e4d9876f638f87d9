"""Relational knowledge distillation: distances and angles between pictures (Park et al., 1904.05068, section 3.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dpk_core.distill.inputs import MethodInputs, Taps, deepest_taps
from dpk_core.distill.method import Method, StepContext, StepOutcome, outcome
from dpk_core.distill.pooling import pooled_vector
from dpk_core.distill.precision import full_precision
from dpk_core.distill.tapped import TappedMethod

LEAST_DISTANCE = 1e-6
"""Pictures nearer than this pass no gradient through their distance; the root has none at 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RkdOptions:
    """Weights of the terms; 25 and 50 are the paper's and those of the CIFAR-100 tables (CRD, 1910.10699)."""

    class_weight: float = 1.0
    distance_weight: float = 25.0
    angle_weight: float = 50.0


class Rkd(TappedMethod):
    """L = CE + λd · distances + λa · angles, on the last map averaged over its positions."""

    name: ClassVar[str] = "rkd"

    def __init__(self, student: nn.Module, teacher: nn.Module, taps: Taps, options: RkdOptions) -> None:
        super().__init__(student, teacher, taps)
        self.options = options

    def forward(self, pictures_BCHW: Tensor, labels_B: Tensor, step: StepContext) -> StepOutcome:
        """Parts: `loss_class`, `loss_distance`, `loss_angle`, before their weights."""
        seen = self.run_both(pictures_BCHW)
        loss_class = F.cross_entropy(seen.logits_BC, labels_B)
        maps = step.world.gather_all(seen.student_maps[0], seen.teacher_maps[0])
        loss_distance, loss_angle = distance_loss(*maps), angle_loss(*maps)
        terms = {
            "class": self.options.class_weight * loss_class,
            "distance": self.options.distance_weight * loss_distance,
            "angle": self.options.angle_weight * loss_angle,
        }
        parts = {"loss_class": loss_class, "loss_distance": loss_distance, "loss_angle": loss_angle}
        return outcome(terms, seen.logits_BC, parts)


@full_precision
def distance_loss(student_BCHW: Tensor, teacher_BCHW: Tensor) -> Tensor:
    """Huber loss between all pairs' distances, each network's in units of its own mean distance."""
    return F.smooth_l1_loss(_distances(_differences(student_BCHW)), _distances(_differences(teacher_BCHW)))


@full_precision
def angle_loss(student_BCHW: Tensor, teacher_BCHW: Tensor) -> Tensor:
    """Huber loss between the cosines of the angles in all triples of pictures."""
    return F.smooth_l1_loss(_cosines(_differences(student_BCHW)), _cosines(_differences(teacher_BCHW)))


def _differences(map_BCHW: Tensor) -> Tensor:
    """From each picture to each other one, BxBxC."""
    vectors_BC = pooled_vector(map_BCHW)
    return vectors_BC[None] - vectors_BC[:, None]


def _distances(differences_BBC: Tensor) -> Tensor:
    """Over the mean of all pairs that are apart, BxB."""
    squares_BB = differences_BBC.pow(2).sum(dim=2)
    apart_BB = squares_BB > LEAST_DISTANCE**2
    # The root is taken of 1 where there is no distance: its gradient at 0 is infinite.
    distances_BB = torch.where(apart_BB, torch.where(apart_BB, squares_BB, 1.0).sqrt(), 0.0)
    return distances_BB / (distances_BB.sum() / apart_BB.sum().clamp(min=1)).clamp(min=LEAST_DISTANCE)


def _cosines(differences_BBC: Tensor) -> Tensor:
    """At each picture between each two others, BxBxB."""
    directions_BBC = F.normalize(differences_BBC, dim=2)
    return directions_BBC @ directions_BBC.transpose(1, 2)


def build(inputs: MethodInputs) -> Method:
    """Relational knowledge distillation with the literature's weights."""
    teacher, _ = inputs.the_teacher()
    return Rkd(inputs.student, teacher, deepest_taps(inputs), RkdOptions())
