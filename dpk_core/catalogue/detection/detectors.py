"""Detectors by name, `detection/<kind>_<backbone>`. No torch."""

from __future__ import annotations

from dataclasses import fields, replace

from dpk_core.detection_settings import Canvas, DetectorSettings, Kind
from dpk_core.errors import InvalidRequest
from dpk_core.nearest import nearest

FAMILY = "detection"

KINDS: tuple[Kind, ...] = ("fasterrcnn", "retinanet")

BACKBONES = (
    "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "mobilenet_v3_small", "mobilenet_v3_large",
)  # fmt: skip
"""torchvision's names, which are also those of their weights as classifiers."""

_SMALL_BLOCKS = {2: ("layer1", 64), 3: ("layer2", 128), 4: ("layer3", 256), 5: ("layer4", 512)}
_LARGE_BLOCKS = {level: (module, 4 * channels) for level, (module, channels) in _SMALL_BLOCKS.items()}
LAST_STAGES: dict[str, dict[int, tuple[str, int]]] = {
    "resnet18": _SMALL_BLOCKS, "resnet34": _SMALL_BLOCKS,
    "resnet50": _LARGE_BLOCKS, "resnet101": _LARGE_BLOCKS, "resnet152": _LARGE_BLOCKS,
    "mobilenet_v3_small": {2: ("1", 16), 3: ("3", 24), 4: ("8", 48), 5: ("12", 576)},
    "mobilenet_v3_large": {2: ("3", 24), 3: ("6", 40), 4: ("12", 112), 5: ("16", 960)},
}  # fmt: skip
"""By backbone and level the module that gives the level's map, and its channels."""

DETECTORS = tuple(f"{FAMILY}/{kind}_{backbone}" for kind in KINDS for backbone in BACKBONES)


def is_detector(name: str) -> bool:
    """Whether a model of this name is a detector."""
    return name.startswith(f"{FAMILY}/")


def kind_and_backbone(name: str, field: str) -> tuple[Kind, str]:
    """The parts of a detector's name. Raises InvalidRequest on `field`, with the nearest, for an unknown one."""
    for kind in KINDS:
        backbone = name.removeprefix(f"{FAMILY}/{kind}_")
        if name in DETECTORS and backbone != name:
            return kind, backbone
    near = nearest(name, DETECTORS) or DETECTORS[0]
    raise InvalidRequest(field, f"There is no detector {name}.", near)


def level_modules(settings: DetectorSettings) -> tuple[str, ...]:
    """The modules that give the maps of the pyramid's levels, the finest first."""
    return tuple(f"backbone.fpn.layer_blocks.{place}" for place in range(len(settings.levels)))


def check_heirs(student: str, teacher: str, field: str) -> None:
    """Raises InvalidRequest on `field` where a student cannot begin with the heads of a teacher of another kind, as of
    any plug-in's."""
    kind, theirs = (kind_and_backbone(name, field)[0] if is_detector(name) else None for name in (student, teacher))
    if kind != theirs:
        raise InvalidRequest(
            field, f"{student} cannot begin with the heads of {teacher}, which is of another kind; take a teacher of "
            "its kind, or inherit nothing.", teacher.replace(f"/{theirs}_", f"/{kind}_") if theirs else None,
        )  # fmt: skip


def check_same_build(student: str, ours: DetectorSettings, teacher: str, theirs: DetectorSettings, field: str) -> None:
    """Raises InvalidRequest on `field` where neck and heads of a teacher do not fit a student that is built otherwise:
    of the layers few or none could be copied, and anchors would mean other boxes."""
    ours = replace(ours, proposals=theirs.proposals, regions=theirs.regions)  # which are of training, not of networks
    name = next((each.name for each in fields(ours) if getattr(ours, each.name) != getattr(theirs, each.name)), None)
    if name is not None:
        raise InvalidRequest(
            field, f"{student} cannot begin with neck and heads of {teacher}: they are built with {name} "
            f"{getattr(ours, name)} and {getattr(theirs, name)}. Build both the same way (`recipe.detection`), or "
            "inherit nothing.",
        )  # fmt: skip


def check_canvas(canvas: Canvas, last_level: int, field: str) -> None:
    """Raises InvalidRequest where the last level that is not pooled would not cover the canvas in whole cells:
    torchvision would pad silently."""
    step = 2**last_level
    if canvas.height % step or canvas.width % step or min(canvas.height, canvas.width) < step:
        near = (max(step, round(side / step) * step) for side in (canvas.height, canvas.width))
        raise InvalidRequest(
            field, f"A canvas of {canvas.height} x {canvas.width} px has no whole cells of {step} px (level "
            f"P{last_level}).", " x ".join(map(str, near)),
        )  # fmt: skip
