"""Builds a distillation method by name. A new method is one file and one line in `METHODS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dpk_core.distill.dpk import Dpk, TappedStage
from dpk_core.distill.kd import Kd
from dpk_core.distill.method import Method
from dpk_core.distill.none import NoTeacher
from dpk_core.distill.profiles import STAGES, StageShape, stage_sizes
from dpk_core.distill.stage import PriorStage
from dpk_core.errors import InvalidRequest
from dpk_core.models.build import own_randomness
from dpk_core.models.taps import FeatureTaps, two_taps
from dpk_core.randomness import derive
from dpk_core.spec import MethodName, MethodSpec, ProfileName


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodInputs:
    """What a method may be made of. `picture_shape`: channels, height, width."""

    student: nn.Module
    student_name: str
    teacher: nn.Module | None
    teacher_name: str | None
    picture_shape: tuple[int, int, int]
    profile: ProfileName
    seed: int


def build_method(
    spec: MethodSpec,
    *,
    student: nn.Module,
    student_name: str,
    teacher: nn.Module | None,
    teacher_name: str | None,
    picture_shape: tuple[int, int, int],
    seed: int,
) -> Method:
    """The method `spec`, in training mode, around models that lie on one device; its own modules are made there too.

    They are initialised from `seed`; student and teacher keep their weights, and no global random state moves. Raises
    ValueError when the method and `teacher` do not fit, InvalidRequest for an unknown model name, a model without two
    maps to tap or a map under 2x2.
    """
    inputs = MethodInputs(
        student=student, student_name=student_name, teacher=teacher, teacher_name=teacher_name,
        picture_shape=picture_shape, profile=spec.profile, seed=seed,
    )  # fmt: skip
    return METHODS[spec.name](inputs)


def _build_none(inputs: MethodInputs) -> Method:
    if inputs.teacher is not None:
        raise ValueError("method 'none' takes no teacher")
    return NoTeacher(inputs.student)


def _build_kd(inputs: MethodInputs) -> Method:
    teacher, _ = _teacher(inputs, "kd")
    return Kd(inputs.student, teacher)


def _build_dpk(inputs: MethodInputs) -> Method:
    teacher, teacher_name = _teacher(inputs, "dpk")
    student_taps = [tap.module for tap in reversed(two_taps(inputs.student_name))]
    teacher_taps = [tap.module for tap in reversed(two_taps(teacher_name))]
    student_maps = _maps(inputs.student, student_taps, inputs.picture_shape)
    teacher_maps = _maps(teacher, teacher_taps, inputs.picture_shape)
    stages = {}
    for index, name in enumerate(STAGES):
        student_BCHW, teacher_BCHW = student_maps[index], teacher_maps[index]
        side = (teacher_BCHW.shape[2], teacher_BCHW.shape[3])
        if min(side) < 2:
            problem = f"{teacher_name} gives a map of {side[0]}x{side[1]} at {teacher_taps[index]!r}, under 2x2."
            raise InvalidRequest("teacher", problem)
        shape = StageShape(
            stage=name, student=inputs.student_name, teacher=teacher_name,
            teacher_channels=teacher_BCHW.shape[1], side=side,
        )  # fmt: skip
        with own_randomness(derive(inputs.seed, "dpk", name)):
            module = PriorStage(student_BCHW.shape[1], teacher_BCHW.shape[1], side, stage_sizes(inputs.profile, shape))
        stages[name] = TappedStage(
            student_tap=student_taps[index],
            teacher_tap=teacher_taps[index],
            module=module.to(teacher_BCHW.device),
        )
    return Dpk(inputs.student, teacher, stages)


def _teacher(inputs: MethodInputs, method: str) -> tuple[nn.Module, str]:
    if inputs.teacher is None or inputs.teacher_name is None:
        raise ValueError(f"method {method!r} needs a teacher")
    return inputs.teacher, inputs.teacher_name


def _maps(model: nn.Module, taps: list[str], picture_shape: tuple[int, int, int]) -> list[Tensor]:
    """The tapped maps for two blank pictures: their true sizes, which a stride need not tell for odd pictures.

    Runs in evaluation mode, so no statistic or random state moves; the model's modes are put back.
    """
    device = next(model.parameters()).device
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with FeatureTaps(model, taps) as tapped, torch.no_grad():
            model(torch.zeros(2, *picture_shape, device=device))
        return tapped.maps
    finally:
        for module, training in modes:
            module.training = training


METHODS: dict[MethodName, Callable[[MethodInputs], Method]] = {
    "none": _build_none,
    "kd": _build_kd,
    "dpk": _build_dpk,
}
"""How each method is made."""
