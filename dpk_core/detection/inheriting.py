"""A student detector that starts from its teacher's neck and heads: alone worth about as much as distillation.

The neck's layers that meet the backbone are copied only where the backbones' channels agree. Layers with a row for each
class are copied row by row, for the classes whose names agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dpk_core.detection.detector import first_class
from dpk_core.errors import InvalidRequest

PARTS = ("backbone.fpn.", "rpn.", "roi_heads.", "head.")

CLASS_LAYERS = {
    "roi_heads.box_predictor.cls_score": 1,
    "roi_heads.box_predictor.bbox_pred": 4,
    "head.classification_head.cls_logits": 1,
}
"""Layers with rows for each class, and how many. RetinaNet's has all classes again for each anchor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inherited:
    """Names of the tensors that were copied, and of those of the parts that were not. `classes`: that agree."""

    copied: tuple[str, ...]
    own: tuple[str, ...]
    classes: tuple[str, ...]


def inherit(
    student: nn.Module, teacher: nn.Module, student_classes: Sequence[str], teacher_classes: Sequence[str]
) -> Inherited:
    """Copies what fits into the student, in place. Raises InvalidRequest on `inherit` where the kinds differ."""
    if type(student) is not type(teacher):
        raise InvalidRequest(
            "inherit", f"A {type(student).__name__} cannot start from the heads of a {type(teacher).__name__}; take a "
            "teacher of the student's kind, or inherit nothing.",
        )  # fmt: skip
    first = first_class(student)
    shared = [name for name in student_classes if name in teacher_classes]
    # The background, where it is a class, is the same in both.
    rows = [*range(first), *(list(student_classes).index(name) + first for name in shared)]
    their_rows = [*range(first), *(list(teacher_classes).index(name) + first for name in shared)]
    theirs = teacher.state_dict()
    copied: list[str] = []
    own: list[str] = []
    with torch.no_grad():
        for name, tensor in student.state_dict().items():
            if not name.startswith(PARTS):
                continue
            given = theirs.get(name)
            each = CLASS_LAYERS.get(name.rpartition(".")[0])
            if given is not None and each is not None:
                classes = (len(student_classes) + first, len(teacher_classes) + first)
                fits = bool(rows) and _copy_rows(tensor, given, classes, each, rows, their_rows)
            else:
                fits = given is not None and given.shape == tensor.shape
                if given is not None and fits:
                    tensor.copy_(given)
            (copied if fits else own).append(name)
    return Inherited(copied=tuple(copied), own=tuple(own), classes=tuple(shared))


def _copy_rows(
    tensor: Tensor, given: Tensor, classes: tuple[int, int], each: int, rows: list[int], their_rows: list[int]
) -> bool:
    """Copies the rows of some classes; False where the layers differ in more than their classes."""
    anchors, their_anchors = tensor.shape[0] // (classes[0] * each), given.shape[0] // (classes[1] * each)
    if tensor.shape[1:] != given.shape[1:] or anchors != their_anchors:
        return False
    own_view = tensor.view(anchors, classes[0], each, *tensor.shape[1:])
    own_view[:, rows] = given.view(anchors, classes[1], each, *given.shape[1:])[:, their_rows]
    return True
