"""Detectors that begin with trained weights: of the whole detector, with its own classes, or of its backbone."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn

from dpk_core.catalogue.weights import file_identity
from dpk_core.detection.models import settings_of
from dpk_core.detection_settings import COCO, Canvas, DetectionSettings
from dpk_core.errors import InvalidRequest, MissingHere
from dpk_core.models.weights import WeightedModel
from dpk_core.preprocessing import ModelPreprocessing
from dpk_core.recipes import as_is
from dpk_core.runner import warm
from dpk_core.spec import Start, TeacherReference, TrainingSpec
from dpk_core.training import detectors
from dpk_core.training.checkpoint import Saved, save_weights
from dpk_core.training.loop import train
from dpk_core.training.training import begin
from tests.unit.training.tiny import Watcher
from tests.unit.training.tiny_detection import (
    DETECTION,
    FASTER,
    RECIPE,
    RETINA,
    SLIM,
    TEACHERS,
    bright_boxes,
    spec,
    start,
)

SCORES = "roi_heads.box_predictor.cls_score.weight"
STEPS = "roi_heads.box_predictor.bbox_pred.weight"


def excited(name: str, classes: int) -> nn.Module:
    card = replace(bright_boxes().card, classes=classes)
    return detectors.detector_of(name, DETECTION, card, seed=7)


def from_file(path: Path, content: object, name: str = FASTER, **changes: Any) -> TrainingSpec:
    """A teacher's training that starts from what is written to the path."""
    if path.suffix == ".safetensors":
        assert isinstance(content, dict)
        save_file(content, path)
    else:
        torch.save(content, path)
    given = Start(source="file", name=path.name, identity=file_identity(path, path.name, "weights"))
    return spec("none", name, role="teacher", start=given, **changes)


def begun(chosen: TrainingSpec, root: Path) -> WeightedModel:
    training = begin(chosen, bright_boxes(), None, weights_root=root)
    return WeightedModel(model=training.model, notes=training.notes)


class TestFiles:
    def test_of_the_same_classes_it_is_the_same_detector(self, tmp_path: Path) -> None:
        state = excited(FASTER, 2).state_dict()
        found = begun(from_file(tmp_path / "a.safetensors", state), tmp_path)
        assert found.notes == ()
        assert all(torch.equal(each, state[name]) for name, each in found.model.state_dict().items())

    def test_with_its_own_classes(self, tmp_path: Path) -> None:
        """The data's class 1 is the weights' class 3, its class 0 is none of theirs. PyTorch file, wrapped and
        prefixed."""
        state = excited(FASTER, 5).state_dict()
        wrapped = {"epoch": 3, "state_dict": {f"module.{key}": each for key, each in state.items()}}
        found = begun(from_file(tmp_path / "a.pth", wrapped, class_map=(-1, 3)), tmp_path)
        assert found.notes == (
            "The weights a.pth are for 5 classes: 1 of the data's 2 are among them, the others begin as drawn.",
            "Of the checkpoint a.pth the entry 'state_dict' was taken. The names in the weights a.pth begin with "
            "'module.', which was left out.",
        )
        own, drawn = found.model.state_dict(), start(spec("none", role="teacher")).model.state_dict()
        others = [key for key in own if "cls_score" not in key and "box_predictor.bbox_pred" not in key]
        assert all(torch.equal(own[key], state[key]) for key in others)
        assert torch.equal(own[SCORES][[0, 2]], state[SCORES][[0, 4]])
        assert torch.equal(own[SCORES][1], drawn[SCORES][1])
        # How a box is moved depends little on its class: a new class begins with the mean of the others.
        assert torch.equal(own[STEPS][8:12], state[STEPS][16:20])
        torch.testing.assert_close(own[STEPS][4:8], state[STEPS][4:].view(5, 4, -1).mean(0))

    def test_with_its_own_classes_of_a_retinanet(self, tmp_path: Path) -> None:
        state = excited(RETINA, 5).state_dict()
        own = begun(
            from_file(tmp_path / "a.safetensors", state, RETINA, class_map=(-1, 3)), tmp_path
        ).model.state_dict()
        drawn = start(spec("none", RETINA, role="teacher")).model.state_dict()
        scores = "head.classification_head.cls_logits.weight"
        assert torch.equal(own[scores][1], state[scores][3])
        assert torch.equal(own[scores][0], drawn[scores][0])
        assert all(torch.equal(own[key], state[key]) for key in own if "cls_logits" not in key)

    def test_other_classes_without_names(self, tmp_path: Path) -> None:
        found = begun(from_file(tmp_path / "a.safetensors", excited(FASTER, 5).state_dict()), tmp_path)
        assert "0 of the data's 2 are among them" in found.notes[0]

    def test_its_backbone_as_a_classifier(self, tmp_path: Path) -> None:
        state = torchvision.models.mobilenet_v3_small(weights=None, num_classes=7).state_dict()
        found = begun(from_file(tmp_path / "a.safetensors", state), tmp_path)
        assert torch.equal(found.model.state_dict()["backbone.body.0.0.weight"], state["features.0.0.weight"])
        assert found.notes == ("Its backbone has the weights a.safetensors; neck and heads are drawn anew.",)

    def test_what_does_not_fit(self, tmp_path: Path) -> None:
        state = excited(FASTER, 2).state_dict()
        with pytest.raises(InvalidRequest, match=r"a\.safetensors do not fit detection/retinanet_.*they lack 'head"):
            begun(from_file(tmp_path / "a.safetensors", state, RETINA), tmp_path)
        with pytest.raises(InvalidRequest, match=r"have classes 0 … 1, not 5"):
            begun(from_file(tmp_path / "b.safetensors", state, class_map=(0, 5)), tmp_path)
        with pytest.raises(InvalidRequest, match=r"The class map has length 1; boxes/bright has 2 classes\."):
            begun(from_file(tmp_path / "b.safetensors", state, class_map=(1,)), tmp_path)
        broken = {**state, SCORES: state[SCORES] * math.nan}
        with pytest.raises(InvalidRequest, match="hold numbers that are not finite"):
            from_file(tmp_path / "c.safetensors", broken)


class TestAsTheyAre:
    def test_they_are_judged(self, tmp_path: Path) -> None:
        chosen = from_file(tmp_path / "a.safetensors", excited(FASTER, 2).state_dict(), recipe=as_is(RECIPE))
        training = begin(chosen, bright_boxes(), None, weights_root=tmp_path)
        train(training, 0, Watcher())
        assert training.last_measured["validation_average_precision"] >= 0

    def test_every_class_must_be_among_theirs(self, tmp_path: Path) -> None:
        chosen = from_file(
            tmp_path / "a.safetensors", excited(FASTER, 5).state_dict(), recipe=as_is(RECIPE), class_map=(-1, 3)
        )
        with pytest.raises(InvalidRequest, match=r"of the data's 2 classes 1 are among the 5 of the weights"):
            begun(chosen, tmp_path)

    def test_a_backbone_is_no_detector(self, tmp_path: Path) -> None:
        state = torchvision.models.mobilenet_v3_small(weights=None, num_classes=7).state_dict()
        with pytest.raises(InvalidRequest, match="are its backbone's; train it, or give weights of the whole detector"):
            begun(from_file(tmp_path / "a.safetensors", state, recipe=as_is(RECIPE)), tmp_path)


def test_pictures_as_the_teacher_knows_them_and_its_own_way_to_be_built(tmp_path: Path) -> None:
    """A wide teacher of another scaling, as it is lent to students of a recipe that builds slim ones."""
    wide = replace(SLIM, channels=24)
    own = ModelPreprocessing(mean=(0.5,), std=(0.25,), channel_order="bgr")
    recipe = as_is(replace(RECIPE, detection=DETECTION.built("fasterrcnn", wide)))
    card = bright_boxes().card
    state = detectors.detector_of(TEACHERS[FASTER], recipe.detection, card, seed=3).state_dict()  # type: ignore[arg-type]  # it has a detection part
    chosen = from_file(tmp_path / "a.safetensors", state, TEACHERS[FASTER], recipe=recipe, preprocessing=own)
    data = bright_boxes()
    training = begin(chosen, data, None, weights_root=tmp_path)
    reference = save_weights(training.model, tmp_path, "w.safetensors", Saved(preprocessing=own, detector=wide))
    lent = warm.teacher_for(TEACHERS[FASTER], reference, tmp_path, data, DETECTION)
    assert settings_of(lent) == wide
    plain = detectors.detector_of(TEACHERS[FASTER], recipe.detection, card, seed=3).eval()  # type: ignore[arg-type]  # as above
    pictures_BCHW = data.validation.start_reading(torch.arange(2))()
    with torch.no_grad():
        seen = plain.backbone((pictures_BCHW.flip(1) / 255 - 0.5) / 0.25)  # type: ignore[operator]  # a module
        for model in (lent, training.model.eval()):
            found = model.backbone(data.normalise(pictures_BCHW))  # type: ignore[operator]  # a module
            torch.testing.assert_close(found["1"], seen["1"], atol=1e-4, rtol=1e-4)
            model(data.normalise(pictures_BCHW))
    named = TeacherReference(model=TEACHERS[FASTER], training_key="wide")
    taught = begin(spec("dpk", teacher=named), data, lent)
    train(taught, 1, Watcher())
    assert [level.teacher_channels for level in taught.method.levels.values()] == [24] * 3  # type: ignore[union-attr,operator]  # a dictionary


class TestPublished:
    def test_a_classifier_for_the_backbone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        state = torchvision.models.resnet18(weights=None).state_dict()
        asked: list[tuple[str, str]] = []

        def give(model: str, tag: str) -> dict[str, Tensor]:
            asked.append((model, tag))
            return state

        monkeypatch.setattr(detectors, "classifier_state", give)
        chosen = spec("none", "detection/fasterrcnn_resnet18")
        for tag, publisher in (("IMAGENET1K_V1", "torchvision/resnet18"), ("a1_in1k", "timm/resnet18")):
            found = detectors.starting_detector(chosen, bright_boxes().card, tag)
            assert asked.pop() == (publisher, tag)
            assert torch.equal(found.model.state_dict()["backbone.body.conv1.weight"], state["conv1.weight"])
            assert found.notes == (
                f"Its backbone has the weights published for {publisher}; neck and heads are drawn anew.",
            )

    def test_what_is_not_published(self) -> None:
        chosen = spec("none", start=Start(source="pretrained", name="nothing.pth", identity="x"))
        with pytest.raises(MissingHere, match=r"publishes .* for detection/fasterrcnn_mobilenet_v3_small, but"):
            start(chosen)

    def test_a_whole_detector_on_coco(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """From the hub cache, with two of its classes: the scores are those of torchvision's own detector."""
        theirs = torchvision.models.detection.fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None)
        theirs.backbone.apply(lambda module: setattr(module, "eps", 0.0))  # as for the published weights
        theirs.backbone.body.layer1[0].bn1.running_var[:9] = 1e-6
        monkeypatch.setenv("TORCH_HOME", str(tmp_path))
        name = "fasterrcnn_resnet50_fpn_coco-258fb6c6.pth"
        (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
        torch.save(theirs.state_dict(), tmp_path / "hub" / "checkpoints" / name)
        detection = DetectionSettings(canvas=Canvas(height=64, width=64), **COCO)
        chosen = spec(
            "none", "detection/fasterrcnn_resnet50", recipe=replace(RECIPE, detection=detection), class_map=(17, 16),
            start=Start(source="pretrained", name=name, identity="torchvision"),
        )  # fmt: skip
        found = begin(chosen, bright_boxes(), None)
        assert found.notes == (
            "The weights published for detection/fasterrcnn_resnet50 are for 90 classes: 2 of the data's 2 are among "
            "them, the others begin as drawn.",
        )
        pictures_BCHW = torch.randn(1, 3, 64, 64)
        with torch.no_grad():
            ours: Any = found.model.eval()
            one, other = ours.backbone(pictures_BCHW)["3"], theirs.eval().backbone(pictures_BCHW)["3"]
            torch.testing.assert_close(one, other, atol=1e-4 * float(other.abs().max()), rtol=1e-4)
            regions = torch.randn(2, 256, 7, 7)
            one, other = (m.roi_heads.box_predictor(m.roi_heads.box_head(regions))[0] for m in (ours, theirs))
        torch.testing.assert_close(one, other[:, [0, 18, 17]])
