"""Detectors of installed packages as teachers, from the example to a step of a student that learns from one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dpk_core.catalogue import plugins
from dpk_core.catalogue.models import model_card, model_names
from dpk_core.detection import describe_plugin, plugged
from dpk_core.detection_settings import Canvas, PyramidSettings
from dpk_core.errors import MissingHere
from dpk_core.runner import carry_out, warm
from dpk_core.spec import MethodSpec, TeacherReference
from dpk_core.training.checkpoint import save_weights
from dpk_core.training.loop import train
from dpk_core.training.training import begin
from service.models.service import view
from service.problems import Rejected
from service.selection_jobs.preflight import check
from service.wire.jobs import SelectionJobRequest
from tests.unit.catalogue.detection.detection_sets import sound_documents, write_coco
from tests.unit.models.plugged import EXAMPLE, install_example
from tests.unit.runner.test_detection_runs import carried_out, training
from tests.unit.training.tiny import Watcher
from tests.unit.training.tiny_detection import CANVAS, CLASSES, FASTER, RECIPE, bright_boxes, spec

DETECTOR = EXAMPLE.parent / "own_detector"


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The full name of the example's detector, installed and measured by a child process once for this module."""
    with pytest.MonkeyPatch.context() as patch:
        install_example(tmp_path_factory.mktemp("site"), patch, DETECTOR)
        (name,) = plugins.plugin_names()
        model_card(name, "teachers[0]")
        yield name


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("boxes")
    write_coco(folder / "pets", sound_documents(pictures=4))
    return folder


def test_its_card_says_which_levels_it_gives(plugin: str) -> None:
    card = model_card(plugin, "teachers[0]")
    assert (card.task, card.classifies, plugin in model_names()) == ("detection", False, True)
    assert [(tap.module, tap.channels, tap.stride) for tap in card.taps] == [
        ("P3", 64, 8),
        ("P4", 64, 16),
        ("P5", 64, 32),
    ]
    shown = view(plugin)
    assert (shown.source, shown.task, shown.obstacle) == ("plugin", "detection", None)
    assert shown.parameters == sum(each.numel() for each in build(plugin).parameters())


def build(plugin: str, seed: int = 0) -> plugged.PluggedDetector:
    return plugged.build_plugged(plugin, classes=describe_plugin.CLASSES, canvas=CANVAS, seed=seed)


def test_its_first_weights_follow_the_seed(plugin: str) -> None:
    first, again, other = (next(build(plugin, seed).parameters()) for seed in (0, 0, 1))
    assert first.equal(again)
    assert not first.equal(other)


class TestPreFlight:
    def asked(self, root: Path, **change: Any) -> Any:
        right = {"student": "detection/retinanet_mobilenet_v3_small", "dataset": "boxes/pets"}
        return check(SelectionJobRequest.model_validate({**right, **change}), root)

    def test_it_teaches(self, plugin: str, root: Path) -> None:
        plan = self.asked(root, teachers=["plugin/fcos_resnet18", "detection/fasterrcnn_resnet18"])
        assert plan.arms[0] == plugin
        assert plan.detectors is not None
        assert [(each.name, each.teacher_channels) for each in plan.detectors.levels[plugin]] == [
            ("P3", 64), ("P4", 64), ("P5", 64),
        ]  # fmt: skip
        assert plan.detectors.parameters[plugin] == view(plugin).parameters

    @pytest.mark.parametrize(
        ("change", "field", "said"),
        [
            ({"student": "plugin/fcos_resnet18"}, "student", "can only teach: take a student of the catalogue"),
            ({"method": "inherit"}, "teachers[0]", "of another kind"),
            ({"teachers": ["plugin/fcos_resnet18@pretrained"]}, "teachers[0].weights", "the weights that its package"),
            ({"dataset": "digits", "student": "cifar/resnet8w4"}, "teachers[0]", "finds boxes, and digits has classes"),
            ({"recipe": {"detection": {"canvas": {"height": 72}}}}, "recipe.detection.canvas", "no whole cells"),
            ({"method": {"name": "dpk", "prior": ["P2"]}}, "method.prior", "no level P2 in common; they share P3, P4"),
        ],
    )  # fmt: skip
    def test_what_it_cannot_do_is_said_at_its_field(
        self, plugin: str, root: Path, change: dict[str, Any], field: str, said: str
    ) -> None:
        with pytest.raises(Rejected) as refused:
            self.asked(root, **{"teachers": [plugin], **change})
        assert any(said in error.message for error in refused.value.errors if error.field == field)


def test_it_is_trained_and_teaches_every_method_that_compares_levels(plugin: str, tmp_path: Path) -> None:
    alone = replace(spec("none"), role="teacher", model=plugin, teacher=None)
    teaching, watcher = begin(alone, bright_boxes(), None), Watcher()
    assert train(teaching, 1, watcher)
    assert {"loss_bbox_ctrness", "validation_average_precision"} <= watcher.epochs[-1].keys()
    kept = save_weights(teaching.judged, tmp_path, "teacher.safetensors", carry_out._beside(teaching))
    teacher = warm.teacher_for(plugin, kept, tmp_path, bright_boxes(), RECIPE.detection)
    for method in (
        MethodSpec(name="dpk", pyramid=PyramidSettings(prior=("P5",))), MethodSpec(name="fgd"),
        MethodSpec(name="feature_mse", pyramid=PyramidSettings(prior=("P4",), plain=())),
    ):  # fmt: skip
        taught = replace(spec(method, FASTER), teacher=TeacherReference(model=plugin, training_key="trained"))
        training, seen = begin(taught, bright_boxes(), teacher), Watcher()
        assert train(training, 1, seen)
        assert seen.epochs[-1]["gradient.features"] > 0


def test_whole_runs_of_it_and_of_a_student_under_it(plugin: str, tmp_path: Path) -> None:
    write_coco(tmp_path / "data" / "pets", sound_documents(pictures=4))
    taught = training(tmp_path, MethodSpec(name="feature_mse"))
    prepared, _ = carried_out(tmp_path, replace(training(tmp_path), model=plugin))
    assert (prepared.samples is not None, prepared.test_score is not None) == (True, True)
    teacher = TeacherReference(model=plugin, training_key="t")
    found, _ = carried_out(tmp_path, replace(taught, teacher=teacher), prepared.weights)
    assert found.test_details is not None


def test_a_machine_without_it_leaves_the_run_to_another_one(plugin: str) -> None:
    taught = replace(spec("fgd"), teacher=TeacherReference(model=plugin, training_key="trained"))
    warm.models_here(taught)
    lacking = TeacherReference(model="plugin/fcos_resnet18-00000000", training_key="trained")
    with pytest.raises(MissingHere, match="does not have the plug-in plugin/fcos_resnet18-00000000"):
        warm.models_here(replace(taught, teacher=lacking))


class Odd(nn.Module):
    """A detector that gives what it is told to."""

    def __init__(self, maps: Callable[[int, int], dict[str, Tensor]], losses: Any, found: Any) -> None:
        super().__init__()
        self.given = maps, losses, found

    def maps(self, pictures: Tensor) -> dict[str, Tensor]:
        return self.given[0](*pictures.shape[-2:])

    def forward(self, _pictures: Tensor, targets: Any = None) -> Any:
        return self.given[2] if targets is None else self.given[1]


def p4(height: int, width: int) -> dict[str, Tensor]:
    return {"P4": torch.zeros(2, 5, height // 16, width // 16)}


LOSSES = {"loss": torch.tensor(1.0)}
FOUND = [{"boxes": torch.zeros(0, 4), "labels": torch.zeros(0), "scores": torch.zeros(0)}] * 2


@pytest.mark.parametrize(
    ("maps", "losses", "found", "said"),
    [
        (lambda *_: {}, LOSSES, FOUND, "none of the levels P2, P3, P4, P5"),
        (lambda *_: {"P4": torch.zeros(2, 5, 3, 4)}, LOSSES, FOUND, r"P4 has the shape \(2, 5, 3, 4\), not"),
        (p4, torch.tensor(1.0), FOUND, "not give losses by name"),
        (p4, {}, FOUND, "not give losses by name"),
        (p4, {"loss": torch.zeros(2)}, FOUND, "not give losses by name"),
        (p4, {"loss": torch.tensor(float("nan"))}, FOUND, "losses are not finite"),
        (p4, LOSSES, FOUND[:1], "not give boxes, labels and scores"),
        (p4, LOSSES, [{"boxes": torch.zeros(0, 4)}] * 2, "not give boxes, labels and scores"),
    ],
)  # fmt: skip
def test_what_does_not_keep_the_contract_is_named(maps: Any, losses: Any, found: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        plugged.card_entry(plugged.PluggedDetector(Odd(maps, losses, found)), CANVAS, CLASSES)


def test_one_level_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    canvas = Canvas(height=48, width=64)
    entry = plugged.card_entry(plugged.PluggedDetector(Odd(p4, LOSSES, FOUND)), canvas, CLASSES)
    assert (entry["taps"], entry["sides"]) == ([["P4", 5, 16, "nchw", 0]], {"least": 16, "step": 16})


def test_the_example_is_documented() -> None:
    assert "plugin/fcos_resnet18" in (EXAMPLE.parents[1] / "docs" / "own-models.md").read_text()
