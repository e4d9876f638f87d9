"""Recipes and methods of detection: what they may be, and that the two tasks do not mix."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dpk_core.catalogue.detection.detectors import check_canvas
from dpk_core.codec import WrongValue, from_json, to_json
from dpk_core.detection_settings import Canvas, PyramidSettings
from dpk_core.dpk_settings import DpkSettings, ShareSettings
from dpk_core.recipes import DETECTION_RECIPES, RECIPES, chosen_recipe, recipe
from dpk_core.spec import MethodSpec, Recipe, TeacherReference, TrainingSpec

SMALL = recipe("detection_small", epochs=2)


def spec(**changes: Any) -> TrainingSpec:
    """A student's training in detection."""
    given: dict[str, Any] = {
        "role": "student", "model": "detection/fasterrcnn_mobilenet_v3_small", "dataset": "boxes/a",
        "data_fingerprint": "f", "method": MethodSpec(name="fgd"), "recipe": SMALL, "seed": 0, "task": "detection",
        "teacher": TeacherReference(model="detection/fasterrcnn_resnet18", training_key="t"),
    }  # fmt: skip
    return TrainingSpec(**{**given, **changes})


@pytest.mark.parametrize("chosen", DETECTION_RECIPES.values())
def test_recipes_of_detection(chosen: Recipe) -> None:
    assert from_json(Recipe, to_json(chosen)) == chosen
    assert chosen.detection is not None
    for kind in ("fasterrcnn", "retinanet"):
        check_canvas(chosen.detection.canvas, chosen.detection.of(kind).levels[-1], "canvas")
    assert chosen.name not in RECIPES


def test_a_setting_of_a_detector_is_changed_alone() -> None:
    chosen = chosen_recipe("detection_small", {"detection": {"canvas": {"height": 64}}})
    assert chosen.detection is not None
    assert chosen.detection.canvas == Canvas(height=64, width=192)
    assert chosen.detection.fasterrcnn == SMALL.detection.fasterrcnn  # type: ignore[union-attr]  # both have one


@pytest.mark.parametrize(("name", "given"), [("digits", {"canvas": {}}), ("coco", None)])
def test_a_recipe_keeps_its_task(name: str, given: object) -> None:
    with pytest.raises(WrongValue, match=r"recipe\.detection: recipe .* is one for"):
        chosen_recipe(name, {"detection": given})


@pytest.mark.parametrize("changes", [{"mixup": 0.2}, {"augmentation": "crop_flip"}, {"compiled": "default"}])
def test_what_moves_no_boxes_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(changes))} must be .* where boxes are trained"):
        replace(SMALL, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "classification"}, "recipe detection_small is not one of the task classification"),
        ({"recipe": recipe("digits")}, "recipe digits is not one of the task detection"),
        ({"method": MethodSpec(name="kd")}, "method 'kd' is not one of the task detection"),
        ({"method": MethodSpec(name="dpk", dpk=DpkSettings())}, "those of the pyramid"),
        ({"method": MethodSpec(name="dpk", inherit=True), "recipe": recipe("digits"), "task": "classification"},
         "inherit and pyramid are for detectors"),
    ],
)  # fmt: skip
def test_tasks_do_not_mix(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        spec(**changes)


def test_inheriting() -> None:
    assert [MethodSpec(name="inherit").inherits, MethodSpec(name="fgd", inherit=True).inherits] == [True, True]
    assert not MethodSpec(name="fgd").inherits
    with pytest.raises(ValueError, match="inherit needs a teacher"):
        MethodSpec(name="none", inherit=True)


def test_levels() -> None:
    assert PyramidSettings().plain_of(["P2", "P3", "P4", "P5"]) == ("P2", "P3")
    assert PyramidSettings(plain=()).plain_of(["P3", "P4", "P5"]) == ()
    with pytest.raises(ValueError, match="prior and plain"):
        PyramidSettings(prior=("P3", "P4"), plain=("P3",))
    with pytest.raises(ValueError, match="no lag"):
        PyramidSettings(share=ShareSettings(lag=True))
