"""Levels that are compared and parameters, known before a detector is built, against built ones."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dpk_core.catalogue.detection.detectors import kind_and_backbone
from dpk_core.catalogue.detection.levels import compared_levels
from dpk_core.catalogue.detection.parameters import parameter_count as parameters_of
from dpk_core.catalogue.models import model_card, model_names
from dpk_core.detection.models import build_detector
from dpk_core.detection_settings import COCO, SMALL, Canvas, DetectionSettings, DetectorSettings
from dpk_core.errors import InvalidRequest
from dpk_core.models.build import build_model, parameter_count
from dpk_core.recipes import COCO as COCO_RECIPE
from dpk_core.spec import MethodSpec

FASTER, RETINA = "detection/fasterrcnn_resnet18", "detection/retinanet_resnet18"


@pytest.mark.parametrize(
    ("name", "settings", "classes"),
    [
        (FASTER, SMALL, 3),
        ("detection/fasterrcnn_mobilenet_v3_small", replace(SMALL, pooled=False, levels=(3, 4)), 1),
        ("detection/retinanet_mobilenet_v3_large", replace(SMALL, octaves=3), 7),
        ("detection/retinanet_resnet18", replace(COCO["retinanet"], levels=(3, 4)), 2),
        ("detection/fasterrcnn_resnet50", replace(COCO["fasterrcnn"], region_width=64), 2),
    ],
)
def test_parameters_are_those_of_the_built_detector(name: str, settings: DetectorSettings, classes: int) -> None:
    built = build_detector(name, classes=classes, seed=0, settings=settings)
    assert parameters_of(name, settings, classes) == parameter_count(built)


def test_levels_of_the_recipes() -> None:
    dpk = compared_levels(MethodSpec(name="dpk"), DetectionSettings(), FASTER, RETINA)
    assert [(each.name, each.height * each.width, each.tokens) for each in dpk] == [
        ("P3", 480, None), ("P4", 120, 30), ("P5", 30, 30)
    ]  # fmt: skip
    assert COCO_RECIPE.detection is not None
    coco = compared_levels(MethodSpec(name="dpk"), COCO_RECIPE.detection, FASTER, FASTER)
    assert [(each.name, each.tokens) for each in coco] == [("P2", None), ("P3", None), ("P4", 64), ("P5", 64)]
    assert {each.tokens for each in compared_levels(MethodSpec(name="fgd"), DetectionSettings(), FASTER, FASTER)} == {
        None
    }
    assert compared_levels(MethodSpec(name="inherit"), DetectionSettings(), FASTER, FASTER) == ()


def test_a_canvas_that_no_patch_tiles_is_refused_with_the_nearest() -> None:
    settings = replace(DetectionSettings(), canvas=Canvas(height=1344, width=800))
    with pytest.raises(InvalidRequest, match="84 x 50 cells") as refusal:
        compared_levels(MethodSpec(name="dpk"), settings, FASTER, FASTER)
    assert (refusal.value.field, refusal.value.nearest) == ("recipe.detection.canvas", "1344 x 768")
    assert compared_levels(MethodSpec(name="feature_mse"), settings, FASTER, FASTER), "only DPK has tokens"


def test_detectors_have_cards_and_classifiers_are_not_built_from_them() -> None:
    card = model_card(FASTER, "student")
    assert card.task == "detection"
    assert [tap.stride for tap in card.taps] == [8, 16, 32]
    assert kind_and_backbone(FASTER, "student") == ("fasterrcnn", "resnet18")
    assert FASTER in model_names()
    with pytest.raises(InvalidRequest, match="is a detector"):
        build_model(FASTER, classes=2, channels=3, seed=0)
