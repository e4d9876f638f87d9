"""Which levels of two detectors' pyramids a method compares, known before anything is built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from dpk_core.catalogue.detection.detectors import kind_and_backbone
from dpk_core.catalogue.detection.plugged import is_plugged, plugged_levels
from dpk_core.catalogue.patches import MOST_TOKENS, tokens_of
from dpk_core.detection_settings import Canvas, DetectionSettings, DetectorSettings, LevelName, PyramidSettings
from dpk_core.errors import InvalidRequest
from dpk_core.spec import MethodSpec, ProfileName

FURTHEST = 8
"""Coarsest cells by which a canvas that is recommended may differ each way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """Where both detectors have a level of the pyramid: places from the finest, channels, height and width."""

    student_place: int
    teacher_place: int
    student_channels: int
    teacher_channels: int
    size: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedLevel:
    """A level that a method compares. `tokens`: that DPK cuts its map into; None where it is compared directly."""

    name: LevelName
    student_channels: int
    teacher_channels: int
    height: int
    width: int
    tokens: int | None = None


def level_channels(name: str, detection: DetectionSettings, built: DetectorSettings | None) -> dict[LevelName, int]:
    """Channels of each level of a detector's pyramid, the finest first. `built`: how it is, where its weights say so.
    Raises InvalidRequest on `model`."""
    if is_plugged(name):
        return plugged_levels(name, "model")
    settings = built or detection.of(kind_and_backbone(name, "model")[0])
    return {cast(LevelName, f"P{level}"): settings.channels for level in settings.levels}


def common_levels(
    student: Mapping[LevelName, int], teacher: Mapping[LevelName, int], canvas: Canvas
) -> dict[LevelName, Level]:
    """The levels that both detectors have, the finest first, from the channels of each."""
    return {
        name: Level(
            student_place=list(student).index(name), teacher_place=list(teacher).index(name),
            student_channels=student[name], teacher_channels=teacher[name],
            size=(canvas.height >> int(name[1:]), canvas.width >> int(name[1:])),
        )
        for name in student
        if name in teacher
    }  # fmt: skip


def chosen_levels(
    settings: PyramidSettings, detection: DetectionSettings, student: str, teacher: str,
    teacher_built: DetectorSettings | None = None,
) -> dict[LevelName, Level]:  # fmt: skip
    """The levels that a method compares, the finest first. `teacher_built`: how the teacher is, where its weights say
    so. Raises InvalidRequest on `method.prior` or `method.plain` for one that the detectors do not have in common."""
    ours, theirs = level_channels(student, detection, None), level_channels(teacher, detection, teacher_built)
    common = common_levels(ours, theirs, detection.canvas)
    plain = settings.plain_of(tuple(common))
    for field, named in (("prior", settings.prior), ("plain", plain)):
        if missing := sorted(set(named) - common.keys()):
            has = ", ".join(common) or "none"
            message = f"{student} and {teacher} have no level {missing[0]} in common; they share {has}."
            raise InvalidRequest(f"method.{field}", message)
    return {name: level for name, level in common.items() if name in (*plain, *settings.prior)}


def compared_levels(
    method: MethodSpec, detection: DetectionSettings, student: str, teacher: str,
    teacher_built: DetectorSettings | None = None,
) -> tuple[ComparedLevel, ...]:  # fmt: skip
    """What `method` compares between two detectors by name; nothing where it only inherits. Raises as `chosen_levels`
    does, and on `recipe.detection.canvas` where a level comes to more tokens than the profile allows."""
    if method.name == "inherit":
        return ()
    settings = method.pyramid or PyramidSettings()
    found = chosen_levels(settings, detection, student, teacher, teacher_built)
    prior = settings.prior if method.name == "dpk" else ()
    for name in prior:
        _check_tokens(name, found[name], method.profile, detection.canvas, prior)
    return tuple(
        ComparedLevel(
            name=name, student_channels=level.student_channels, teacher_channels=level.teacher_channels,
            height=level.size[0], width=level.size[1],
            tokens=tokens_of(level.size, method.profile) if name in prior else None,
        )
        for name, level in found.items()
    )  # fmt: skip


def _check_tokens(
    name: LevelName, level: Level, profile: ProfileName, canvas: Canvas, prior: tuple[LevelName, ...]
) -> None:
    tokens, most = tokens_of(level.size, profile), MOST_TOKENS[profile]
    if tokens > most:
        raise InvalidRequest(
            "recipe.detection.canvas", f"On a canvas of {canvas.height} x {canvas.width} px level {name} is a map of "
            f"{level.size[0]} x {level.size[1]} cells, which square patches tile in {tokens} tokens at the least; DPK "
            f"takes at most {most}.", _nearest(profile, canvas, prior),
        )  # fmt: skip


def _nearest(profile: ProfileName, canvas: Canvas, prior: tuple[LevelName, ...]) -> str | None:
    """The canvas nearest to this one on which every level of `prior` has few enough tokens."""
    step = 2 ** max(5, *(int(name[1:]) for name in prior))
    near = range(-FURTHEST, FURTHEST + 1)
    sizes = [
        (height, width)
        for height in (canvas.height // step * step + step * each for each in near)
        for width in (canvas.width // step * step + step * each for each in near)
        if height >= step and width >= step
    ]
    fitting = [
        size
        for size in sizes
        if all(
            tokens_of((size[0] >> int(name[1:]), size[1] >> int(name[1:])), profile) <= MOST_TOKENS[profile]
            for name in prior
        )
    ]
    if not fitting:
        return None
    height, width = min(fitting, key=lambda size: abs(size[0] - canvas.height) + abs(size[1] - canvas.width))
    return f"{height} x {width}"
