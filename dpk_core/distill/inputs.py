"""What a method may be made of, and what most of them ask of it. B pictures, C channels, H x W map."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dpk_core.catalogue.models import Tap, model_card
from dpk_core.models.taps import FeatureTaps, two_taps
from dpk_core.spec import MethodSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodInputs:
    """`picture_shape`: channels, height, width. `training_labels`: of the whole training split, where a method may
    have to know it."""

    spec: MethodSpec
    student: nn.Module
    student_name: str
    teacher: nn.Module | None
    teacher_name: str | None
    picture_shape: tuple[int, int, int]
    training_labels: Tensor | None
    seed: int

    def the_teacher(self) -> tuple[nn.Module, str]:
        """The teacher and its name. Raises ValueError when there is none."""
        if self.teacher is None or self.teacher_name is None:
            raise ValueError(f"method {self.spec.name!r} needs a teacher")
        return self.teacher, self.teacher_name

    @property
    def device(self) -> torch.device:
        """Where student and teacher lie."""
        return next(self.student.parameters()).device


@dataclass(frozen=True, slots=True, kw_only=True)
class Taps:
    """What to tap in student and teacher, from the deepest upwards, and the shapes of the maps there for two blank
    pictures: true sizes, which a stride need not tell for odd pictures."""

    student: tuple[Tap, ...]
    teacher: tuple[Tap, ...]
    student_shapes: tuple[torch.Size, ...]
    teacher_shapes: tuple[torch.Size, ...]


def deepest_taps(inputs: MethodInputs, most: int) -> Taps:
    """The deepest taps that both models have, `most` of them at most.

    Raises InvalidRequest for an unknown model name and for a model with fewer than two.
    """
    teacher, teacher_name = inputs.the_teacher()
    student_taps, teacher_taps = _taps(inputs.student_name), _taps(teacher_name)
    count = min(most, len(student_taps), len(teacher_taps))
    student_taps, teacher_taps = student_taps[:count], teacher_taps[:count]
    return Taps(
        student=student_taps,
        teacher=teacher_taps,
        student_shapes=_shapes(inputs.student, student_taps, inputs.picture_shape),
        teacher_shapes=_shapes(teacher, teacher_taps, inputs.picture_shape),
    )


def _taps(name: str) -> tuple[Tap, ...]:
    two_taps(name)  # raises for a model that has fewer
    return tuple(reversed(model_card(name, "model").taps))


def _shapes(model: nn.Module, taps: tuple[Tap, ...], picture_shape: tuple[int, int, int]) -> tuple[torch.Size, ...]:
    """Runs in evaluation mode, so no statistic or random state moves; the model's modes are put back."""
    device = next(model.parameters()).device
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with FeatureTaps(model, taps) as tapped, torch.no_grad():
            model(torch.zeros(2, *picture_shape, device=device))
        return tuple(found_BCHW.shape for found_BCHW in tapped.maps)
    finally:
        for module, training in modes:
            module.training = training
