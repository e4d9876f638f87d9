"""Detectors in the one training loop: every method trains, resumes bit for bit and keeps its contract."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
import torch

from dpk_core.detection_settings import PyramidSettings
from dpk_core.distill.running_cka import RunningCka
from dpk_core.dpk_settings import ShareSettings
from dpk_core.errors import InvalidRequest
from dpk_core.parallel.world import World
from dpk_core.spec import DetectionMethodName, MethodSpec, TeacherReference, TrainingSpec
from dpk_core.training import detectors
from dpk_core.training.checkpoint import CheckpointWriter, resume
from dpk_core.training.evaluate import EVALUATORS
from dpk_core.training.loop import train
from dpk_core.training.training import Training, begin
from tests.unit.training.tiny import Watcher, assert_equal_states
from tests.unit.training.tiny_detection import (
    DETECTION,
    FASTER,
    RECIPE,
    RETINA,
    STEPS,
    TEACHERS,
    bright_boxes,
    spec,
    start,
    teacher,
)

METHODS: tuple[DetectionMethodName, ...] = get_args(DetectionMethodName)
OWN_LOSSES = {
    FASTER: {"loss_classifier", "loss_box_reg", "loss_objectness", "loss_rpn_box_reg"},
    RETINA: {"loss_classification", "loss_bbox_regression"},
}


@functools.cache
def uninterrupted(chosen: TrainingSpec) -> tuple[Training, list[dict[str, float]]]:
    training, watcher = start(chosen), Watcher()
    assert train(training, 2, watcher)
    return training, watcher.epochs


@pytest.mark.parametrize("student", [FASTER, RETINA])
@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains(method: DetectionMethodName, student: str) -> None:
    training, epochs = uninterrupted(spec(method, student))
    values = epochs[-1]
    assert OWN_LOSSES[student] | {"train_loss", "validation_average_precision", "validation_ap50"} <= values.keys()
    assert "validation_loss" not in values
    teaches = method in ("dpk", "feature_mse", "fgd")
    assert ("loss_features" in values) == ("gradient.features" in values) == teaches
    if teaches:
        assert values["gradient.features"] > 0
    fresh = start(spec(method, student))
    for one, other in ((training.model, fresh.model), (training.method.extras, fresh.method.extras)):
        before = dict(other.named_parameters())
        assert all(not torch.equal(each, before[name]) for name, each in one.named_parameters()), method
    assert bool(list(training.method.distillation_parameters())) == teaches


@pytest.mark.parametrize("method", ["feature_mse", "dpk", "fgd"])
def test_a_teacher_that_changes_the_batch_in_place_is_refused(method: DetectionMethodName) -> None:
    """The student would learn from what it leaves."""
    training = start(spec(method))
    backbone = training.method.teacher.backbone
    handle = backbone.register_forward_pre_hook(lambda _, given: (given[0].mul_(2),))
    try:
        with pytest.raises(InvalidRequest, match="changes the pictures that it is given in place"):
            train(training, 1, Watcher())
    finally:
        handle.remove()  # the teacher is lent


@pytest.mark.parametrize(
    ("method", "student"), [*((method, FASTER) for method in METHODS), ("none", RETINA), ("dpk", RETINA)]
)
def test_resumed_equals_uninterrupted(method: DetectionMethodName, student: str, tmp_path: Path) -> None:
    """Also Faster R-CNN, which draws what it trains on from the global generator."""
    chosen = spec(method, student)
    whole, expected = uninterrupted(chosen)
    training, before, after = start(chosen), Watcher(stop_at=STEPS + 1), Watcher()
    assert not train(training, 2, before)
    checkpoint = CheckpointWriter(tmp_path, "runs/a").write(training)
    torch.manual_seed(99)  # whatever went on elsewhere
    fresh = start(chosen)
    resume(fresh, tmp_path, checkpoint)
    assert train(fresh, 2, after)
    assert before.epochs + after.epochs == expected
    assert_equal_states(whole, fresh)


@pytest.mark.parametrize("student", [FASTER, RETINA])
def test_the_loss_falls(student: str) -> None:
    training = start(spec("none", student, recipe=replace(RECIPE, epochs=8, learning_rate=3e-3)))
    watcher = Watcher()
    train(training, 8, watcher)
    assert watcher.epochs[-1]["train_loss"] < 0.85 * watcher.epochs[0]["train_loss"]


def test_dpk_on_levels() -> None:
    training, epochs = uninterrupted(spec("dpk"))
    for level in ("P4", "P5"):
        assert 0 < epochs[-1][f"share.{level}"] < 1
        assert 0 <= epochs[-1][f"share_fallback.{level}"] <= 1
        running = training.method.extras[f"cka_{level}"]
        assert isinstance(running, RunningCka)
        assert running.seen.item() == 2 * STEPS
    assert "share.P3" not in epochs[-1]
    assert {f"extras.cka_{level}.terms_S3" for level in ("P4", "P5")} <= {
        f"extras.{name}" for name in training.state()["extras"]
    }


def test_the_teacher_only_gives_its_pyramid(monkeypatch: pytest.MonkeyPatch) -> None:
    """A detector in evaluation mode looks for boxes: slow, and nothing that could be compared."""
    lent = teacher(TEACHERS[FASTER])
    monkeypatch.setattr(lent, "forward", lambda *_: pytest.fail("the whole teacher ran"))
    training = start(spec("fgd"))
    train(training, 1, Watcher())
    assert not lent.training


@pytest.mark.parametrize(
    "chosen",
    [
        PyramidSettings(share=ShareSettings(schedule="cosine")), PyramidSettings(prior=("P5",), plain=()),
        PyramidSettings(prior=(), plain=("P3",)),
    ],
)  # fmt: skip
def test_settings_of_dpk(chosen: PyramidSettings) -> None:
    training, watcher = start(spec(MethodSpec(name="dpk", pyramid=chosen))), Watcher()
    train(training, 1, watcher)
    shares = {name.removeprefix("share.") for name in watcher.epochs[0] if name.startswith("share.")}
    assert shares == set(chosen.prior)


def test_levels_that_are_not_there() -> None:
    chosen = MethodSpec(name="dpk", pyramid=PyramidSettings(prior=("P2", "P5")))
    with pytest.raises(InvalidRequest, match=r"no level P2 in common; they share P3, P4, P5"):
        start(spec(chosen))


def test_other_pyramids_are_met() -> None:
    """A student of one kind learns from a teacher of the other, with other channels and levels."""
    wide = replace(DETECTION.retinanet, channels=24, levels=(2, 3, 4, 5))
    recipe = replace(RECIPE, detection=replace(DETECTION, retinanet=wide))
    lent = detectors.detector_of(RETINA, recipe.detection, bright_boxes().card, seed=1).eval()  # type: ignore[arg-type]  # the recipe has a detection part
    for method in ("dpk", "fgd", "feature_mse"):
        named = TeacherReference(model=RETINA, training_key="untrained")
        training = begin(spec(method, FASTER, recipe=recipe, teacher=named), bright_boxes(), lent)
        train(training, 1, Watcher())
        assert training.step == STEPS


def test_accumulation_splits_pictures_with_their_boxes() -> None:
    """Two parts of two pictures: CKA cannot be taken, but features can be drawn."""
    training, watcher = start(spec("feature_mse", recipe=replace(RECIPE, accumulation=2))), Watcher()
    train(training, 1, watcher)
    assert watcher.epochs[0]["train_loss"] > 0
    with pytest.raises(ValueError, match="CKA needs at least 4 pictures"):
        train(start(spec("dpk", recipe=replace(RECIPE, accumulation=2))), 1, Watcher())


@pytest.mark.parametrize("method", ["dpk", "feature_mse", "fgd"])
def test_building_and_hooks(method: DetectionMethodName) -> None:
    """Extras are decided by the seed alone, no global random state moves, and no hook is left behind but those that
    every detector has."""
    before = torch.get_rng_state()
    one, other, another = (start(spec(method, seed=seed)) for seed in (3, 3, 4))
    plain = start(spec("none"))
    assert torch.equal(torch.get_rng_state(), before)
    weights = [dict(each.method.extras.named_parameters()) for each in (one, other, another)]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
    assert any(not torch.equal(value, weights[2][name]) for name, value in weights[0].items())
    train(one, 1, Watcher())
    of_every, left = (sum(len(module._forward_hooks) for module in each.model.modules()) for each in (plain, one))
    assert left == of_every


class TestInheriting:
    @pytest.mark.parametrize("method", [MethodSpec(name="inherit"), MethodSpec(name="fgd", inherit=True)])
    def test_the_student_begins_with_neck_and_heads(self, method: MethodSpec) -> None:
        training, plain = start(spec(method)), start(spec("none"))
        theirs = teacher(TEACHERS[FASTER]).state_dict()
        name = "roi_heads.box_predictor.cls_score.weight"
        assert torch.equal(training.model.state_dict()[name], theirs[name])
        assert not torch.equal(plain.model.state_dict()[name], theirs[name])
        body = "backbone.body.0.0.weight"
        assert torch.equal(training.model.state_dict()[body], plain.model.state_dict()[body])
        assert training.notes == ("Its neck and heads begin as the teacher's: 47 of their 50 tensors fit.",)

    def test_alone_it_costs_no_teacher_in_a_step(self) -> None:
        assert start(spec("inherit")).method.teacher is None


class TestJudging:
    def test_the_evidence_is_the_score(self) -> None:
        """Of a detector that finds something: one whose class layer is sure of class 0."""
        training = start(spec("inherit"))
        train(training, 2, Watcher())
        evaluator, data = EVALUATORS["detection"], bright_boxes()
        model = training.model.train()
        model.roi_heads.score_thresh = 0.0  # type: ignore[union-attr]  # torchvision types its parts as modules or tensors
        found, reported = (evaluator.evaluate(model, data, data.validation, reported=each) for each in (False, True))
        assert model.training
        assert found.score > 0
        assert found.evidence_N.mean().item() == pytest.approx(found.score, abs=1e-6)
        assert reported.score == pytest.approx(found.score, abs=1e-6)
        assert found.loss is None
        assert found.details.keys() >= {"ap50", "ap75"}

    def test_chance(self) -> None:
        evaluator = EVALUATORS["detection"]
        assert evaluator.guess(bright_boxes().validation) == 0
        steady, scattered = torch.full((100,), 0.1), torch.zeros(100)
        scattered[0] = 10.0
        assert not evaluator.is_chance(0.1, steady, 0.0)
        assert evaluator.is_chance(0.1, scattered, 0.0)
        assert evaluator.is_chance(0.0, torch.zeros(100), 0.0)


def test_several_devices_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="Detectors are trained on one device"):
        begin(spec("none"), bright_boxes(), None, world=World(rank=0, size=2))


def test_a_canvas_that_does_not_fit() -> None:
    odd = replace(DETECTION, canvas=replace(DETECTION.canvas, width=72))
    with pytest.raises(InvalidRequest, match="no whole cells of 32 px"):
        start(spec("none", recipe=replace(RECIPE, detection=odd)))
