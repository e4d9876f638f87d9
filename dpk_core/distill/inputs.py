"""What a method may be made of, and what most of them ask of it. B pictures, C channels, H x W map."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dpk_core.catalogue.models import Tap, model_card
from dpk_core.catalogue.tapping import MapDemand, map_demand, too_few_maps, usable
from dpk_core.models.evaluating import evaluating
from dpk_core.models.taps import FeatureTaps
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
    pictures."""

    student: tuple[Tap, ...]
    teacher: tuple[Tap, ...]
    student_shapes: tuple[torch.Size, ...]
    teacher_shapes: tuple[torch.Size, ...]


def deepest_taps(inputs: MethodInputs) -> Taps:
    """The deepest maps of both models that are large enough for the method, as many as it looks at.

    By the rule of `dpk_core.catalogue.tapping`, from the maps that are really seen. Raises InvalidRequest for an
    unknown model name and for a model with too few maps; ValueError for a method that looks at none.
    """
    demand = map_demand(inputs.spec)
    if demand is None:
        raise ValueError(f"method {inputs.spec.name!r} taps nothing")
    teacher, teacher_name = inputs.the_teacher()
    students = _usable(inputs, demand, inputs.student, inputs.student_name, "student")
    teachers = _usable(inputs, demand, teacher, teacher_name, "teacher")
    count = min(demand.most, len(students), len(teachers))
    return Taps(
        student=tuple(tap for tap, _ in students[:count]),
        teacher=tuple(tap for tap, _ in teachers[:count]),
        student_shapes=tuple(shape for _, shape in students[:count]),
        teacher_shapes=tuple(shape for _, shape in teachers[:count]),
    )


def _usable(
    inputs: MethodInputs, demand: MapDemand, model: nn.Module, name: str, field: str
) -> list[tuple[Tap, torch.Size]]:
    card = model_card(name, "model")
    shapes = _shapes(model, card.taps, inputs.picture_shape)
    found = usable([min(shape[2:]) for shape in shapes], demand.side)
    if len(found) < demand.least:
        raise too_few_maps(inputs.spec, demand, card, min(inputs.picture_shape[1:]), len(found), field)
    return [(card.taps[index], shapes[index]) for index in found]


def _shapes(model: nn.Module, taps: tuple[Tap, ...], picture_shape: tuple[int, int, int]) -> tuple[torch.Size, ...]:
    device = next(model.parameters()).device
    with evaluating(model), FeatureTaps(model, taps) as tapped, torch.no_grad():
        model(torch.zeros(2, *picture_shape, device=device))
    return tuple(found_BCHW.shape for found_BCHW in tapped.maps)
