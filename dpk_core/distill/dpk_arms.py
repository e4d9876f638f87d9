"""Dynamic Prior Knowledge and its control arms, made from the run's settings.

Each arm is a method of its own name, so that a leaderboard can hold it beside `dpk`. It pins one choice and leaves all
others as the settings have them:

- `dpk_no_teacher_tokens` pins π = 0. Its numbers are those of `dpk` under the share schedule `none` with the same
  seed; what differs is that the name says so, that no settings can hand it a token, and that a share that lags is
  no contradiction. It has exactly the modules of `dpk`; the teacher's encoder gets no token and so does not learn.
  It separates prior knowledge from mere extra parameters.
- `dpk_features_only` pins α = 0: no logit term of DPK's own; `loss_logits` is still measured.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import torch

from dpk_core.catalogue.patches import check_patches
from dpk_core.catalogue.tapping import STAGES
from dpk_core.distill.dpk import Dpk
from dpk_core.distill.inputs import MethodInputs, deepest_taps
from dpk_core.distill.method import Method
from dpk_core.distill.profiles import StageShape, stage_sizes
from dpk_core.distill.stage import PriorStage
from dpk_core.dpk_settings import CIFAR_DPK, DpkSettings, StageSettings
from dpk_core.errors import InvalidRequest
from dpk_core.models.initialisation import own_randomness
from dpk_core.randomness import derive


class DpkNoTeacherTokens(Dpk):
    """DPK whose decoder sees the student's tokens only."""

    name: ClassVar[str] = "dpk_no_teacher_tokens"


class DpkFeaturesOnly(Dpk):
    """DPK without the logit term."""

    name: ClassVar[str] = "dpk_features_only"


def build_dpk(inputs: MethodInputs) -> Method:
    """DPK under the run's settings."""
    return _build(Dpk, inputs, inputs.spec.dpk or CIFAR_DPK)


def build_no_teacher_tokens(inputs: MethodInputs) -> Method:
    """The control arm without teacher tokens."""
    settings = inputs.spec.dpk or CIFAR_DPK
    share = replace(settings.share, schedule="none", lag=False)
    return _build(DpkNoTeacherTokens, inputs, replace(settings, share=share))


def build_features_only(inputs: MethodInputs) -> Method:
    """The control arm without logit term."""
    return _build(DpkFeaturesOnly, inputs, replace(inputs.spec.dpk or CIFAR_DPK, logit_weight=0.0))


def _build(kind: type[Dpk], inputs: MethodInputs, settings: DpkSettings) -> Dpk:
    teacher, _ = inputs.the_teacher()
    taps = deepest_taps(inputs)
    modules: dict[str, PriorStage] = {}
    for stage in settings.stages:
        index = STAGES.index(stage.name)
        modules[stage.name] = _stage(inputs, stage, taps.student_shapes[index], taps.teacher_shapes[index])
    return kind(inputs.student, teacher, taps, modules, settings)


def _stage(
    inputs: MethodInputs, settings: StageSettings, student_shape: torch.Size, teacher_shape: torch.Size
) -> PriorStage:
    _, teacher_name = inputs.the_teacher()
    side = (teacher_shape[2], teacher_shape[3])
    shape = StageShape(
        stage=settings.name, student=inputs.student_name, teacher=teacher_name,
        teacher_channels=teacher_shape[1], side=side,
    )  # fmt: skip
    sizes = stage_sizes(inputs.spec.profile, shape, settings)
    if settings.patch is not None:
        try:
            check_patches(settings.patch, side, f"{teacher_name} at stage {settings.name}")
        except ValueError as problem:
            raise InvalidRequest("method.dpk.stages", str(problem)) from problem
    with own_randomness(derive(inputs.seed, "dpk", settings.name)):
        module = PriorStage(student_shape[1], teacher_shape[1], side, sizes)
    return module.to(inputs.device)
