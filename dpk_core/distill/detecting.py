"""Builds a distillation method of detection by name."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from dpk_core.catalogue.detection.detectors import kind_and_backbone
from dpk_core.catalogue.detection.levels import Level, chosen_levels
from dpk_core.catalogue.detection.plugged import is_plugged
from dpk_core.catalogue.tapping import STAGES
from dpk_core.detection.models import settings_of
from dpk_core.detection_settings import DetectionSettings, LevelName, PyramidSettings
from dpk_core.distill.feature_mse import FeatureMse
from dpk_core.distill.fgd import WEIGHTS, Fgd
from dpk_core.distill.method import Method
from dpk_core.distill.profiles import StageShape, stage_sizes
from dpk_core.distill.pyramid import DetectorAlone
from dpk_core.distill.pyramid_dpk import PyramidDpk
from dpk_core.distill.stage import PriorStage
from dpk_core.models.initialisation import own_randomness
from dpk_core.spec import MethodSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """Two detectors by name with the levels that both have."""

    student: str
    teacher: str
    levels: dict[LevelName, Level]


def build_detection_method(
    spec: MethodSpec,
    detection: DetectionSettings,
    *,
    student: nn.Module,
    student_name: str,
    teacher: nn.Module | None,
    teacher_name: str | None,
    seed: int,
) -> Method:
    """The method `spec`, in training mode, around detectors that lie on one device; its own modules are made there too.

    They are initialised from `seed`; no global random state moves. A student that only inherits has begun with what it
    inherits, and is alone. Raises ValueError when the method and `teacher` do not fit, InvalidRequest where the
    detectors lack a level that the method names.
    """
    if spec.name == "inherit":
        return DetectorAlone(student)
    if spec.name == "none":
        return DetectorAlone(student, teacher)
    if teacher is None or teacher_name is None:
        raise ValueError(f"method {spec.name!r} needs a teacher")
    kind = kind_and_backbone(student_name, "model")[0]
    canvas, settings = detection.canvas, spec.pyramid or PyramidSettings()
    built = None if is_plugged(teacher_name) else settings_of(teacher)
    levels = chosen_levels(settings, detection, student_name, teacher_name, built)
    pair = _Pair(student=student_name, teacher=teacher_name, levels=levels)
    with own_randomness(seed):
        method: Method
        if spec.name == "feature_mse":
            method = FeatureMse(student, teacher, pair.levels, settings.feature_weight)
        elif spec.name == "fgd":
            method = Fgd(student, teacher, pair.levels, canvas, WEIGHTS[kind], settings.feature_weight)
        else:
            method = PyramidDpk(student, teacher, pair.levels, _stages(spec, settings, pair), settings)
    method.extras.to(next(student.parameters()).device)
    return method


def _stages(spec: MethodSpec, settings: PyramidSettings, pair: _Pair) -> dict[str, PriorStage]:
    """Modules of the levels that go through DPK, the finest first; their sizes are those of the profile."""
    stages: dict[str, PriorStage] = {}
    for name, level in pair.levels.items():
        if name in settings.prior:
            from_coarsest = len(settings.prior) - 1 - len(stages)
            shape = StageShape(
                stage=STAGES[from_coarsest], student=pair.student, teacher=pair.teacher,
                teacher_channels=level.teacher_channels, side=level.size,
            )  # fmt: skip
            sizes = stage_sizes(spec.profile, shape)
            stages[name] = PriorStage(level.student_channels, level.teacher_channels, level.size, sizes)
    return stages
