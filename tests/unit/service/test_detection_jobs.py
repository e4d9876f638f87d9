"""Requests of detection: what becomes a plan, and a sentence for each thing that does not fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dpk_core.codec import from_json, to_json
from dpk_core.detection_settings import Canvas
from service.actions.service import _wider_plan
from service.presentation.setting_words import method_label
from service.problems import Conflict, Rejected
from service.scheduling.plan import Plan
from service.selection_jobs.preflight import check
from service.settings import Settings
from service.wire.jobs import SelectionJobRequest
from service.wire.setting_choices import MethodChoice
from tests.unit.catalogue.detection.detection_sets import sound_documents, write_coco

FASTER = "detection/fasterrcnn_"
STUDENT, RESNET, RETINA = f"{FASTER}mobilenet_v3_small", f"{FASTER}resnet18", "detection/retinanet_resnet18"
RIGHT: dict[str, Any] = {"student": STUDENT, "dataset": "boxes/pets", "teachers": [RESNET, RETINA]}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("boxes")
    write_coco(folder / "pets", sound_documents(pictures=4))
    faulty = sound_documents(pictures=4)
    for each in faulty["train"]["annotations"]:
        each["iscrowd"] = 1
    write_coco(folder / "crowds", faulty)
    return folder


def asked(root: Path, **change: Any) -> Plan:
    return check(SelectionJobRequest.model_validate({**RIGHT, **change}), root)


def test_a_job_on_boxes_is_one_of_detection(root: Path) -> None:
    plan = asked(root)
    assert (plan.task, plan.student_recipe.name, plan.spending.margin) == ("detection", "detection_small", 0.01)
    assert plan.method.pyramid is not None
    assert plan.detectors is not None
    levels = {teacher: [(each.name, each.tokens) for each in found] for teacher, found in plan.detectors.levels.items()}
    assert levels == {each: [("P3", None), ("P4", 30), ("P5", 30)] for each in (RESNET, RETINA)}
    assert plan.detectors.parameters.keys() == {STUDENT, RESNET, RETINA}
    assert from_json(Plan, to_json(plan)) == plan
    run = plan.student_run(RESNET, 0, plan.epochs).training
    assert (run.task, run.teacher is not None and run.teacher.model) == ("detection", RESNET)


def test_a_margin_and_a_canvas_can_be_asked_for(root: Path) -> None:
    plan = asked(root, budget={"margin": 0.02}, recipe={"detection": {"canvas": {"height": 64, "width": 96}}})
    assert plan.spending.margin == 0.02
    assert plan.student_recipe.detection is not None
    assert plan.student_recipe.detection.canvas == Canvas(height=64, width=96)
    assert plan.teacher_recipe.detection == plan.student_recipe.detection, "one canvas for student and teachers"
    half = asked(root, recipe={"detection": {"canvas": {"height": 96}}}).student_recipe.detection
    assert half is not None
    assert half.canvas.width == 192, "what is left out belongs to the recipe"


def test_settings_of_a_method_of_detection(root: Path) -> None:
    plan = asked(
        root, teachers=[RESNET], method={"name": "dpk", "prior": ["P5"], "share": {"floor": 0.3}, "inherit": True}
    )
    assert plan.method.inherits
    assert plan.method.pyramid is not None
    assert (plan.method.pyramid.prior, plan.method.pyramid.share.floor) == (("P5",), 0.3)
    assert plan.method.pyramid.share.schedule == "cka"
    alone = asked(root, teachers=[RESNET], method="inherit")
    assert (alone.method.name, alone.method.pyramid) == ("inherit", None)
    assert alone.detectors is not None
    assert alone.detectors.levels == {RESNET: ()}
    assert method_label(MethodChoice(name="fgd", inherit=True)) == "FGD (inherit on)"


@pytest.mark.parametrize(
    ("change", "field", "words", "nearest"),
    [
        ({"task": "classification"}, "task", "has boxes, so the task is detection", "detection"),
        ({"task": "detection", "dataset": "digits"}, "dataset", "takes a data set of boxes, named boxes/…", None),
        ({"dataset": "boxes/pet"}, "dataset", "There is no data set 'boxes/pet'", "boxes/pets"),
        ({"dataset": "boxes/crowds"}, "dataset", "`iscrowd` is 1 on every box", None),
        ({"student": "torchvision/resnet18"}, "student", "tells classes, and boxes/pets has boxes", RESNET),
        ({"dataset": "digits"}, "student", "finds boxes, and digits has classes", "torchvision/mobilenet_v3_small"),
        ({"teachers": [f"{FASTER}resnet19"]}, "teachers[0]", "There is no model", RESNET),
        ({"method": "kd"}, "method", "kd is no method of detection; there are dpk, feature_mse, fgd, inherit.", "dpk"),
        ({"method": {"name": "fgd", "cka_steps": 3}}, "method.cka_steps", "only the settings feature_weight", None),
        ({"method": {"temperature": 3}}, "method.temperature", "dpk of detection has only the settings", None),
        ({"method": {"prior": ["P2"]}}, "method.prior", "no level P2 in common; they share P3, P4, P5", None),
        ({"method": "inherit"}, "teachers[1]", "which is of another kind", RESNET),
        ({"recipe": "digits"}, "recipe", "digits is a recipe of classification; there are", "detection_small"),
        ({"recipe": {"detection": {"canvas": {"height": 100}}}}, "recipe.detection.canvas", "whole cells", "96 x 192"),
        ({"recipe": {"detection": {"canvas": {"height": 1344, "width": 800}}}}, "recipe.detection.canvas",
         "which square patches tile in 1050 tokens at the least", "1344 x 768"),
        ({"recipe": {"mixup": 0.2}}, "recipe.mixup", "where boxes are trained", None),
        ({"budget": {"batch_size": 3}}, "budget.batch_size", "dpk needs at least 4 pictures in a batch", "4"),
        ({"method": "fgd", "budget": {"batch_size": 1}}, "budget.batch_size", "has batch normalisation", "2"),
        ({"classes": 5}, "classes", "boxes/pets has 2 classes, not 5", "2"),
    ],
)  # fmt: skip
def test_what_does_not_fit(root: Path, change: dict[str, Any], field: str, words: str, nearest: str | None) -> None:
    with pytest.raises(Rejected) as raised:
        asked(root, **change)
    error = next(each for each in raised.value.errors if each.field == field)
    assert words in error.message
    assert error.nearest == nearest
    assert len({each.message for each in raised.value.errors}) == len(raised.value.errors), "each thing once"


def test_a_teacher_can_be_added_and_the_others_must_be_as_they_were(
    root: Path, configure: Callable[..., Settings]
) -> None:
    configure(data_root=root)
    before, both, request = asked(root, teachers=[RESNET]), asked(root), SelectionJobRequest.model_validate(RIGHT)
    wider = _wider_plan(before, request)
    assert wider.arms == (RESNET, RETINA, None)
    assert wider.detectors == both.detectors
    assert before.detectors is not None
    levels, parameters = before.detectors.levels, before.detectors.parameters
    for changed in (
        replace(before.detectors, levels={RESNET: levels[RESNET][1:]}),
        replace(before.detectors, parameters={**parameters, STUDENT: 1}),
    ):
        with pytest.raises(Conflict, match="The defaults have changed since"):
            _wider_plan(replace(before, detectors=changed), request)


def test_detectors_and_their_methods_are_not_for_classes(root: Path) -> None:
    plain = {"student": "cifar/resnet8w4", "dataset": "digits", "teachers": ["cifar/resnet8w8"]}
    for change, field in (
        ({"method": "fgd"}, "method"), ({"method": {"inherit": True}}, "method.inherit"),
        ({"recipe": "detection_small"}, "recipe"), ({"method": {"prior": ["P5"]}}, "method.prior"),
    ):  # fmt: skip
        with pytest.raises(Rejected) as raised:
            check(SelectionJobRequest.model_validate({**plain, **change}), root)
        assert [each.field for each in raised.value.errors] == [field]
