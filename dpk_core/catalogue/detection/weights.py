"""Trained weights for detectors: of the whole detector, or of its backbone as a classifier. No torch.

| weights | what they are |
|---|---|
| `pretrained`, `IMAGENET1K_V1` … | torchvision's classifier of the backbone's name; of ResNets also timm's |
| `COCO_V1` | torchvision's whole detector on COCO: of `fasterrcnn_resnet50` and `retinanet_resnet50` |
| `file:<name>` | a safetensors or PyTorch file of either, under the weights root |

Weights of a whole detector decide how it is built. The file's side-car says so (`config.json` of an exported student);
else it is built as the recipe has it, or as torchvision builds its detectors for COCO, whichever fits.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dpk_core.catalogue.detection.detectors import kind_and_backbone
from dpk_core.catalogue.detection.parameters import (
    CLASS_SCORES,
    anchors_of_a_cell,
    class_count,
    detector_parameters,
)
from dpk_core.catalogue.fitting import check_names, made_for, prefix_of, without_prefix
from dpk_core.catalogue.parameters import Parameters
from dpk_core.catalogue.spelling import composed
from dpk_core.catalogue.tensors import shown
from dpk_core.detection_settings import COCO, DetectorSettings, Kind
from dpk_core.errors import InvalidRequest

NO_CLASS = -1
"""In a class map: none of the weights' classes."""

BACKGROUND = frozenset({"__background__", "background"})

_OLD_NAMES = (
    (re.compile(r"(fpn\.(?:inner|layer)_blocks\.\d+)\.(weight|bias)$"), r"\1.0.\2"),
    (re.compile(r"(rpn\.head\.conv)\.(weight|bias)$"), r"\1.0.0.\2"),
)
_OLD_TOWER = re.compile(r"(head\.(?:classification|regression)_head\.conv\.)(\d+)\.(weight|bias)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorFit:
    """What weights hold of a detector. `settings`: how it is built for them; None where they are its backbone's.
    `classes`: that they score, without a background; 0 of a backbone. `prefix`: before each name, to be left out."""

    part: Literal["whole", "backbone"]
    settings: DetectorSettings | None
    classes: int
    prefix: str = ""


def present_name(name: str) -> str:
    """The name that torchvision has since version 0.13 for a detector's parameter."""
    for old, new in _OLD_NAMES:
        name = old.sub(new, name)
    # Between the convolutions of a tower there were activations, which counted too.
    return _OLD_TOWER.sub(lambda found: f"{found[1]}{int(found[2]) // 2}.0.{found[3]}", name)


def fit(model: str, tensors: Parameters, settings: Sequence[DetectorSettings], source: str, field: str) -> DetectorFit:
    """What the weights `source`, with these tensors, are of the detector `model` built in the first of these ways that
    they fit.

    Raises InvalidRequest on `field` where they fit none: what does not fit the first is named.
    """
    kind, backbone = kind_and_backbone(model, field)
    tensors = {present_name(name): each for name, each in tensors.items()}
    if not any(".fpn." in name for name in tensors):
        classifier = made_for(f"torchvision/{backbone}", tensors, source, field)
        return DetectorFit(part="backbone", settings=None, classes=0, prefix=classifier.prefix)
    reasons = []
    for each in settings:
        try:
            return _whole(kind, backbone, tensors, each)
        except ValueError as reason:
            reasons.append(str(reason))
    raise InvalidRequest(
        field, f"The weights {source} do not fit {model} as the recipe builds it: {reasons[0]}. They may be another "
        "detector's, or a recipe's with other settings (recipe.detection).",
    )  # fmt: skip


def ways_to_build(
    kind: Kind, recipe: DetectorSettings, stated: DetectorSettings | None
) -> tuple[DetectorSettings, ...]:
    """How a detector may be built for weights, in the order in which it is tried: as is said beside them, as the recipe
    has it, as torchvision does for COCO."""
    return tuple(dict.fromkeys((*([] if stated is None else [stated]), recipe, COCO[kind])))


def without_background(names: Sequence[str], classes: int) -> tuple[str, ...] | None:
    """Names of classes as somebody wrote them beside weights, without a background before them; None where there are
    not as many as the weights score."""
    given = tuple(names)
    if len(given) == classes + 1 and given[0].strip().casefold() in BACKGROUND:
        given = given[1:]
    return given if len(given) == classes else None


def class_map(theirs: Sequence[str], ours: Sequence[str]) -> tuple[int, ...]:
    """For each class of the data the class of the weights that is called so, `NO_CLASS` where there is none or several.
    Case, `_` and `-` do not matter."""
    plain = [_plain(name) for name in theirs]
    return tuple(plain.index(_plain(name)) if plain.count(_plain(name)) == 1 else NO_CLASS for name in ours)


def _plain(name: str) -> str:
    return composed(name).strip().casefold().replace("_", " ").replace("-", " ")


def _whole(kind: Kind, backbone: str, tensors: Parameters, settings: DetectorSettings) -> DetectorFit:
    """Raises ValueError with the first thing that does not fit."""
    expected = detector_parameters(kind, backbone, settings, 1)
    prefix = prefix_of(tensors, expected)
    inside, found = without_prefix(tensors, prefix)
    check_names(inside, found, expected, prefix)
    rows = found[f"{CLASS_SCORES[kind]}.weight"].shape[0]
    classes = class_count(kind, settings, found)
    if classes < 1 or (kind == "retinanet" and rows % anchors_of_a_cell(settings)):
        raise ValueError(f"{CLASS_SCORES[kind]!r} has {rows} rows, which is no number of classes for it")
    for name, each in detector_parameters(kind, backbone, settings, classes).items():
        if name in found and found[name].shape != each.shape:
            raise ValueError(f"{shown(name)} has the shape {found[name].shape}, and the model's has {each.shape}")
        if name in found and each.floating and not found[name].floating:
            raise ValueError(f"the numbers of {shown(name)} are not of the type float16, bfloat16, float32 or float64")
    return DetectorFit(part="whole", settings=settings, classes=classes, prefix=prefix)
