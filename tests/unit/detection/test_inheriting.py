"""What a student takes over from its teacher's neck and heads, and what not."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from dpk_core.detection.detector import first_class
from dpk_core.detection.inheriting import ClassRows, copy_into, inherit
from dpk_core.detection.models import build_detector
from dpk_core.detection_settings import SMALL
from dpk_core.errors import InvalidRequest

SLIM = replace(SMALL, channels=16, region_width=32, ratios=(0.5, 1.0))


def detector(kind: str, backbone: str, classes: int, seed: int) -> nn.Module:
    return build_detector(f"detection/{kind}_{backbone}", classes=classes, seed=seed, settings=SLIM)


@pytest.mark.parametrize("kind", ["fasterrcnn", "retinanet"])
def test_neck_and_heads_are_the_teachers_and_the_body_is_not(kind: str) -> None:
    student = detector(kind, "mobilenet_v3_small", 3, 1)
    teacher = detector(kind, "resnet18", 3, 2)
    before = {name: each.clone() for name, each in student.state_dict().items()}
    found = inherit(student, teacher, 3)
    after, theirs = student.state_dict(), teacher.state_dict()
    # The lateral layers take the backbones' channels, which differ.
    assert {name.rpartition(".")[0] for name in found.own} == {f"backbone.fpn.inner_blocks.{n}.0" for n in range(3)}
    for name in found.copied:
        assert torch.equal(after[name], theirs[name]), name
    assert all(torch.equal(after[name], before[name]) for name in after if name.startswith("backbone.body."))


@pytest.mark.parametrize("kind", ["fasterrcnn", "retinanet"])
def test_of_other_classes_those_that_agree_are_copied(kind: str) -> None:
    """Cats and dogs are the given weights', cows the detector's own."""
    student, teacher = detector(kind, "mobilenet_v3_small", 3, 1), detector(kind, "mobilenet_v3_small", 4, 2)
    before = {name: each.clone() for name, each in student.state_dict().items()}
    rows = ClassRows(pairs=((0, 2), (1, 0)), own=3, given=4, first=first_class(student))
    copy_into(student, teacher.state_dict(), rows)
    after, theirs = student.state_dict(), teacher.state_dict()
    if kind == "fasterrcnn":
        weight, given = (
            after["roi_heads.box_predictor.cls_score.weight"],
            theirs["roi_heads.box_predictor.cls_score.weight"],
        )
        assert torch.equal(weight[[0, 1, 2]], given[[0, 3, 1]])
        assert torch.equal(weight[3], before["roi_heads.box_predictor.cls_score.weight"][3])
        boxes, given = after["roi_heads.box_predictor.bbox_pred.bias"], theirs["roi_heads.box_predictor.bbox_pred.bias"]
        assert torch.equal(boxes[4:8], given[12:16])
    else:
        name = "head.classification_head.cls_logits.weight"
        # 2 octaves × 2 ratios = 4 anchors, each with all classes.
        weight, given = after[name].view(4, 3, -1), theirs[name].view(4, 4, -1)
        assert torch.equal(weight[:, [0, 1]], given[:, [2, 0]])
        assert torch.equal(weight[:, 2], before[name].view(4, 3, -1)[:, 2])


def test_of_a_teacher_of_the_same_backbone_the_whole_neck_is_copied() -> None:
    student, teacher = (
        detector("retinanet", "mobilenet_v3_small", 3, 1),
        detector("retinanet", "mobilenet_v3_small", 3, 2),
    )
    assert inherit(student, teacher, 3).own == ()


def test_without_a_common_class_the_class_layer_is_the_students() -> None:
    student, teacher = (
        detector("retinanet", "mobilenet_v3_small", 1, 1),
        detector("retinanet", "mobilenet_v3_small", 1, 2),
    )
    given = teacher.state_dict()
    copied = copy_into(student, given, ClassRows(pairs=(), own=1, given=1, first=first_class(student)))
    assert given.keys() - copied == {f"head.classification_head.cls_logits.{name}" for name in ("weight", "bias")}


def test_another_kind_is_refused() -> None:
    student, teacher = (
        detector("retinanet", "mobilenet_v3_small", 1, 1),
        detector("fasterrcnn", "mobilenet_v3_small", 1, 2),
    )
    with pytest.raises(InvalidRequest, match="A RetinaNet cannot start from the heads of a FasterRCNN"):
        inherit(student, teacher, 1)
