"""A student detector that starts from its teacher's neck and heads: alone worth about as much as distillation.

The neck's layers that meet the backbone are copied only where the backbones' channels agree. Layers with a row for each
class are copied row by row; the box steps of classes that are none of the given ones' begin as their mean, as how a box
is moved depends little on its class.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dpk_core.detection.detector import first_class
from dpk_core.errors import InvalidRequest

PARTS = ("backbone.fpn.", "rpn.", "roi_heads.", "head.")

BOX_STEPS = "roi_heads.box_predictor.bbox_pred"
CLASS_LAYERS = {
    "roi_heads.box_predictor.cls_score": 1,
    BOX_STEPS: 4,
    "head.classification_head.cls_logits": 1,
}
"""Layers with rows for each class, and how many. RetinaNet's has all classes again for each anchor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inherited:
    """Names of the tensors that were copied, and of those of the parts that were not."""

    copied: tuple[str, ...]
    own: tuple[str, ...]


def inherit(student: nn.Module, teacher: nn.Module, classes: int) -> Inherited:
    """Copies what fits into the student, in place; both find the same `classes`. Raises InvalidRequest on `inherit`
    where the kinds differ."""
    if type(student) is not type(teacher):
        raise InvalidRequest(
            "inherit", f"A {type(student).__name__} cannot start from the heads of a {type(teacher).__name__}; take a "
            "teacher of the student's kind, or inherit nothing.",
        )  # fmt: skip
    pairs = tuple((label, label) for label in range(classes))
    parts = {name: tensor for name, tensor in teacher.state_dict().items() if name.startswith(PARTS)}
    copied = copy_into(student, parts, ClassRows(pairs=pairs, own=classes, given=classes, first=first_class(student)))
    own = [name for name in student.state_dict() if name.startswith(PARTS) and name not in copied]
    return Inherited(copied=copied, own=tuple(own))


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRows:
    """Which class of the detector is which of the weights (`pairs`), of how many each; `first`: number of class 0; a
    background comes before it."""

    pairs: tuple[tuple[int, int], ...]
    own: int
    given: int
    first: int


def copy_into(detector: nn.Module, given: Mapping[str, Tensor], rows: ClassRows) -> tuple[str, ...]:
    """Copies what fits of the tensors `given` into the detector; the names of what was copied."""
    copied: list[str] = []
    with torch.no_grad():
        for name, tensor in detector.state_dict().items():
            if name not in given:
                continue
            if (layer := name.rpartition(".")[0]) in CLASS_LAYERS:
                fits = _copy_rows(layer, tensor, given[name], rows)
            elif fits := given[name].shape == tensor.shape:
                tensor.copy_(given[name])
            if fits:
                copied.append(name)
    return tuple(copied)


def _copy_rows(layer: str, tensor: Tensor, given: Tensor, rows: ClassRows) -> bool:
    """Copies the rows of some classes; False where there are none, or the layers differ in more than their classes."""
    each, own, theirs = CLASS_LAYERS[layer], rows.own + rows.first, rows.given + rows.first
    # The background, where it is a class, is the same in both.
    places = [(place, place) for place in range(rows.first)]
    places += [(place + rows.first, their_place + rows.first) for place, their_place in rows.pairs]
    anchors, their_anchors = tensor.shape[0] // (own * each), given.shape[0] // (theirs * each)
    if not places or tensor.shape[1:] != given.shape[1:] or anchors != their_anchors:
        return False
    own_view = tensor.view(anchors, own, each, *tensor.shape[1:])
    given_view = given.view(anchors, theirs, each, *given.shape[1:])
    if layer == BOX_STEPS:
        own_view[:, rows.first :] = given_view[:, rows.first :].mean(dim=1, keepdim=True)
    for place, their_place in places:
        own_view[:, place] = given_view[:, their_place]
    return True
