"""Requests of detection whose detectors bring weights: how these are prepared, built and matched; what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file
from torch import nn

from dpk_core.codec import from_json, to_json
from dpk_core.detection.models import build_detector
from dpk_core.detection_settings import COCO, SMALL, DetectorSettings
from service.problems import Rejected
from service.scheduling.plan import Plan
from service.selection_jobs import changes
from service.selection_jobs.preflight import check
from service.settings import settings
from service.wire.jobs import SelectionJobRequest
from tests.unit.catalogue.detection.detection_sets import sound_documents, write_coco
from tests.unit.training.tiny_detection import SLIM

STUDENT, TEACHER = "detection/fasterrcnn_mobilenet_v3_small", "detection/fasterrcnn_mobilenet_v3_large"
RESNET = "detection/fasterrcnn_resnet50"
Asked = Callable[..., Plan]


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cats and dogs."""
    folder = tmp_path_factory.mktemp("boxes")
    write_coco(folder / "pets", sound_documents(pictures=4))
    return folder


@pytest.fixture
def asked(data_root: Path, tmp_path: Path) -> Asked:
    def ask(**change: Any) -> Plan:
        request = {"student": STUDENT, "dataset": "boxes/pets", **change}
        return check(SelectionJobRequest.model_validate(request), data_root, tmp_path)

    return ask


def detector(count: int, built: DetectorSettings) -> nn.Module:
    return build_detector(TEACHER, classes=count, seed=0, settings=built)


def write_detector(path: Path, count: int, built: DetectorSettings = SMALL, **beside: object) -> str:
    """Weights of the teacher; how they are asked for."""
    save_file(detector(count, built).state_dict(), path)
    if beside:
        path.with_suffix(".json").write_text(json.dumps(beside))
    return f"{TEACHER}@file:{path.name}"


def test_weights_of_the_same_classes_are_taken_as_they_are(asked: Asked, tmp_path: Path) -> None:
    label = write_detector(tmp_path / "a.safetensors", 2, mean=[0.4], std=[0.2], size=224)
    plan = asked(teachers=[label])
    prepared = plan.preparation(label)
    assert (prepared.kind, prepared.class_map, prepared.recipe.epochs) == ("as_is", None, 0)
    assert prepared.preprocessing is not None
    assert (prepared.preprocessing.mean, prepared.preprocessing.side) == ((0.4,), None), "its size is the canvas"
    assert prepared.recipe.detection == plan.student_recipe.detection
    assert plan.teacher_run(label).training.task == "detection"
    assert from_json(Plan, to_json(plan)) == plan


def test_other_classes_are_matched_by_name_and_the_detector_fine_tuned(asked: Asked, tmp_path: Path) -> None:
    """And it is built as `dpk export` says beside it, not as the recipe does."""
    label = write_detector(
        tmp_path / "a.safetensors", 3, SLIM, classes=["Dog", "cow", "horse"], detector={"settings": to_json(SLIM)}
    )
    plan = asked(teachers=[label])
    prepared = plan.preparation(label)
    assert (prepared.kind, prepared.class_map, prepared.classes_by) == ("fine_tune", (-1, 0), "name")
    assert prepared.recipe.detection is not None
    assert prepared.recipe.detection.fasterrcnn == SLIM
    assert plan.student_recipe.detection is not None
    assert plan.student_recipe.detection.fasterrcnn == SMALL
    assert plan.detectors is not None
    assert {each.teacher_channels for each in plan.detectors.levels[label]} == {SLIM.channels}
    assert plan.detectors.parameters[TEACHER] == sum(each.numel() for each in detector(2, SLIM).parameters())


def test_neck_and_heads_of_another_build_are_not_inherited(asked: Asked, tmp_path: Path) -> None:
    beside = {"classes": ["cat", "dog"], "detector": {"settings": to_json(SLIM)}}
    label = write_detector(tmp_path / "a.safetensors", 2, SLIM, **beside)
    with pytest.raises(Rejected) as raised:
        asked(teachers=[label], method="inherit")
    (error,) = raised.value.errors
    assert error.field == "teachers[0]"
    assert (
        f"they are built with channels {SMALL.channels} and {SLIM.channels}. Build both the same way" in error.message
    )
    same = {"detection": {"fasterrcnn": to_json(SLIM)}}
    assert asked(teachers=[label], method="inherit", recipe=same).method.inherits


def test_coco_and_imagenet(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DPK_DOWNLOAD", "1")
    whole, backbone = f"{RESNET}@COCO_V1", f"{RESNET}@pretrained"
    plan = asked(teachers=[whole, backbone], student=f"{STUDENT}@pretrained")
    prepared = plan.preparation(whole)
    assert (prepared.kind, prepared.class_map) == ("as_is", (16, 17))
    assert prepared.recipe.detection is not None
    assert prepared.recipe.detection.fasterrcnn == COCO["fasterrcnn"]
    assert prepared.preprocessing is not None
    trained = plan.preparation(backbone)
    assert trained.start is not None
    assert (trained.kind, trained.preprocessing, trained.recipe) == ("train", None, plan.teacher_recipe)
    assert plan.student_start is not None
    assert plan.student_classes is None


def test_a_student_from_coco(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DPK_DOWNLOAD", "1")
    plan = asked(student=f"{RESNET}@COCO_V1", teachers=[TEACHER])
    run = plan.student_run(None, 0, plan.epochs).training
    assert run.class_map == (16, 17)
    assert run.recipe.detection is not None
    assert run.recipe.detection.fasterrcnn == COCO["fasterrcnn"]
    assert plan.teacher_recipe.detection is not None
    assert plan.teacher_recipe.detection.fasterrcnn == SMALL
    assert plan.detectors is not None
    assert [each.name for each in plan.detectors.levels[TEACHER]] == ["P3", "P4", "P5"], "the teacher has no P2"


@pytest.mark.parametrize(
    ("classes", "choice", "field", "words", "nearest"),
    [
        (2, {"preparation": "head"}, "preparation", "Detectors are trained as a whole", "as_is"),
        (2, {"preparation": "train"}, "preparation", "would throw the weights away", "fine_tune"),
        (3, {"preparation": "as_is"}, "preparation", "its weights know 0 of its 2 classes", "fine_tune"),
        (2, {"preprocessing": {"size": 224}}, "preprocessing.size", "see pictures on the job's canvas", None),
        (2, {"preprocessing": {"scaling": "measured"}}, "preprocessing.scaling", "give mean and std", None),
        (3, {"class_map": [0, 5]}, "class_map", "The weights have classes 0 … 2, not 5", None),
    ],
)  # fmt: skip
def test_what_cannot_be_done(
    classes: int, choice: dict[str, Any], field: str, words: str, nearest: str | None, asked: Asked, tmp_path: Path
) -> None:
    label = write_detector(tmp_path / "a.safetensors", classes)
    with pytest.raises(Rejected) as raised:
        asked(teachers=[{"model": TEACHER, "weights": label.partition("@")[2], **choice}])
    (error,) = raised.value.errors
    assert error.field == f"teachers[0].{field}"
    assert words in error.message
    assert error.nearest == nearest


def test_a_file_that_does_not_fit(asked: Asked, tmp_path: Path) -> None:
    label = write_detector(tmp_path / "a.safetensors", 2, replace(SMALL, channels=32))
    with pytest.raises(Rejected) as raised:
        asked(teachers=[label])
    (error,) = raised.value.errors
    assert error.field == "teachers[0].weights"
    assert "has the shape (32, 40, 1, 1), and the model's has (64, 40, 1, 1)" in error.message


def test_preprocessing_and_classes_can_be_given(asked: Asked, tmp_path: Path) -> None:
    label = write_detector(tmp_path / "a.safetensors", 3)
    choice = {"model": TEACHER, "weights": "file:a.safetensors", "class_map": [2, 0], "preprocessing": {"mean": 0.5}}
    prepared = asked(teachers=[choice]).preparation(label)
    assert (prepared.kind, prepared.class_map, prepared.stated_by) == ("as_is", (2, 0), "the request")
    assert prepared.preprocessing is not None
    assert prepared.preprocessing.std == (1.0,)


def test_weights_that_stayed_have_not_changed(asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of a detector that only the recipe says how to build."""
    label = write_detector(tmp_path / "a.safetensors", 2, replace(SMALL, channels=32))
    plan = asked(teachers=[label], recipe={"detection": {"fasterrcnn": {"channels": 32}}})
    monkeypatch.setattr(changes, "settings", lambda: settings().model_copy(update={"weights_root": tmp_path}))
    data = changes.DataNow(name=plan.dataset, fingerprint=plan.data_fingerprint)
    assert changes.changes(plan, data, [label]) == []
    (tmp_path / "a.safetensors").unlink()
    assert "cannot be had now" in changes.changes(plan, data, [label])[0]
