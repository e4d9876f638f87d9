"""Detectors: built by name, run on a canvas, trained on boxes, given a classifier's weights."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import Tensor

from dpk_core.catalogue.detection.detectors import (
    DETECTORS,
    check_canvas,
    kind_and_backbone,
    level_modules,
)
from dpk_core.data.boxes import NO_BOX, BoxTargets, box_targets
from dpk_core.detection.detector import detect, detector_losses
from dpk_core.detection.models import build_detector, load_classifier
from dpk_core.detection_settings import COCO, SMALL, Canvas, DetectorSettings
from dpk_core.errors import InvalidRequest
from dpk_core.models.taps import FeatureTaps
from tests.unit.detection.made_up import HEIGHT, WIDTH, made_up_split

CHEAP = [f"detection/{kind}_mobilenet_v3_small" for kind in ("fasterrcnn", "retinanet")]


def targets() -> BoxTargets:
    """Of two pictures: one with a box and a crowd, one with none."""
    return BoxTargets(
        boxes_BM4=torch.tensor([[[4.0, 4, 40, 40], [50, 8, 90, 60]], [[0, 0, 0, 0]] * 2]),
        labels_BM=torch.tensor([[2, 0], [NO_BOX, NO_BOX]]), crowd_BM=torch.tensor([[False, True], [False, False]]),
    )  # fmt: skip


@pytest.mark.parametrize("name", CHEAP)
def test_losses_have_gradients_everywhere(name: str) -> None:
    model = build_detector(name, classes=3, seed=1, settings=SMALL)
    losses = detector_losses(model, torch.randn(2, 3, 64, 96), targets())
    torch.stack(list(losses.values())).sum().backward()
    without = [key for key, each in model.named_parameters() if each.grad is None]
    assert without == []
    assert all(loss.isfinite() for loss in losses.values())


@pytest.mark.parametrize("name", CHEAP)
def test_equal_seeds_give_equal_weights_and_losses(name: str) -> None:
    before = torch.get_rng_state()
    models = [build_detector(name, classes=3, seed=seed, settings=SMALL) for seed in (1, 1, 2)]
    assert torch.equal(torch.get_rng_state(), before)
    pictures = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    sums = []
    for model in models:
        torch.manual_seed(5)
        sums.append(sum(loss.item() for loss in detector_losses(model, pictures, targets()).values()))
    assert sums[0] == sums[1] != sums[2]


@pytest.mark.parametrize(("name", "first"), [(CHEAP[0], 1), (CHEAP[1], 0)])
def test_classes_are_numbered_as_the_detector_has_them(name: str, first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Class 0 of Faster R-CNN is the background: a class given as 0 would be trained as nothing, silently."""
    model = build_detector(name, classes=3, seed=1, settings=SMALL)
    seen: list[dict[str, Tensor]] = []
    monkeypatch.setattr(model, "forward", lambda _, given: seen.extend(given) or {})
    detector_losses(model, torch.zeros(2, 3, 64, 96), targets())
    assert [each["labels"].tolist() for each in seen] == [[2 + first], []]
    assert [each["boxes"].tolist() for each in seen] == [[[4, 4, 40, 40]], []]
    boxes = torch.tensor([[0.0, 0, 40, 30], [0, 0, 90, 64]])
    answer = {"boxes": boxes, "labels": torch.tensor([0, 2]) + first, "scores": torch.tensor([0.9, 0.1])}
    nothing = {key: each[:0] for key, each in answer.items()}
    monkeypatch.setattr(model, "forward", lambda _: [nothing, answer])
    found = detect(model, torch.zeros(2, 3, 64, 96), 7, [(10, 10), (128, 160)])
    assert found.pictures_D.tolist() == [8, 8]
    assert found.classes_D.tolist() == [0, 2]
    assert found.boxes_D4.tolist() == [[0, 0, 80, 60], [0, 0, 160, 128]]


def test_targets_of_a_split_lie_on_the_canvas() -> None:
    truth = made_up_split(4, 6, 2, crowd=0.5)
    found = box_targets(truth, [0, 3], Canvas(height=HEIGHT // 2, width=WIDTH))
    for place, picture in enumerate((0, 3)):
        here = slice(truth.first_N1[picture], truth.first_N1[picture + 1])
        here_M = found.present_BM[place]
        assert found.boxes_BM4[place][here_M].numpy() == pytest.approx(truth.boxes_M4[here] / 2, abs=1e-4)
        assert found.labels_BM[place][here_M].tolist() == truth.classes_M[here].tolist()
        assert found.crowd_BM[place][here_M].tolist() == truth.crowd_M[here].tolist()


@pytest.mark.parametrize("name", CHEAP)
def test_a_detector_finds_something_on_the_canvas(name: str) -> None:
    model = build_detector(name, classes=3, seed=1, settings=SMALL).eval()
    for module in (model.roi_heads,) if "fasterrcnn" in name else (model,):
        module.score_thresh = 0.0
    found = detect(model, torch.randn(1, 3, 64, 96), 0, [(64, 96)])
    assert 0 < len(found) <= 100
    assert set(found.classes_D.tolist()) <= {0, 1, 2}
    assert found.boxes_D4.min() >= 0
    assert (found.boxes_D4.max(axis=0) <= [96, 64, 96, 64]).all()


@pytest.mark.parametrize("name", CHEAP)
def test_boxes_are_exact_where_networks_are_not(name: str) -> None:
    """bfloat16 has 8 significant bits, and a canvas more pixels."""
    model = build_detector(name, classes=3, seed=1, settings=SMALL)
    anchors = model.rpn.anchor_generator if "fasterrcnn" in name else model.anchor_generator
    seen: list[Tensor] = []
    anchors.register_forward_hook(lambda *given: seen.extend(given[2]))
    if "fasterrcnn" in name:
        model.roi_heads.box_roi_pool.register_forward_hook(lambda *given: seen.extend(given[1][1]))
    pictures = torch.randn(2, 3, 64, 1024, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        losses = detector_losses(model, pictures, targets())
    torch.stack(list(losses.values())).sum().backward()
    assert {each.dtype for each in seen} == {torch.float32}
    assert any((each % 4 != 0).any() for each in seen)
    cells = [each.clone() for each in anchors.cell_anchors]
    model.eval()(pictures)
    assert all(map(torch.equal, cells, anchors.cell_anchors))


def test_levels_are_tapped_as_they_are() -> None:
    model = build_detector(CHEAP[0], classes=3, seed=1, settings=SMALL).eval()
    with FeatureTaps(model, level_modules(SMALL)) as taps, torch.no_grad():
        model.backbone(torch.zeros(1, 3, 192, 160))
        assert [tuple(each.shape) for each in taps.maps] == [(1, 64, 24, 20), (1, 64, 12, 10), (1, 64, 6, 5)]


@pytest.mark.parametrize("backbone", ["resnet18", "resnet50", "mobilenet_v3_small", "mobilenet_v3_large"])
def test_every_backbone_has_its_levels(backbone: str) -> None:
    with torch.device("meta"):
        settings = DetectorSettings(levels=(2, 3, 4, 5))
        model = build_detector(f"detection/retinanet_{backbone}", classes=2, seed=0, settings=settings)
        maps = model.backbone(torch.zeros(2, 3, 64, 96))
    assert [tuple(each.shape[1:]) for each in maps.values()] == [
        (64, 16, 24), (64, 8, 12), (64, 4, 6), (64, 2, 3), (64, 1, 2),
    ]  # fmt: skip


def test_the_settings_of_coco_are_torchvisions() -> None:
    with torch.device("meta"):
        ours = build_detector("detection/fasterrcnn_resnet50", classes=90, seed=0, settings=COCO["fasterrcnn"])
        theirs = torchvision.models.detection.fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None)
        retina = build_detector("detection/retinanet_resnet50", classes=91, seed=0, settings=COCO["retinanet"])
        their_retina = torchvision.models.detection.retinanet_resnet50_fpn(weights=None, weights_backbone=None)
    for one, other in ((ours, theirs), (retina, their_retina)):
        shapes = {key: each.shape for key, each in one.named_parameters()}
        # torchvision makes P6 of RetinaNet from the body's map, we from the pyramid's.
        expected = {key: each.shape for key, each in other.named_parameters()}
        differ = {key for key in shapes.keys() | expected.keys() if shapes.get(key) != expected.get(key)}
        assert differ <= {"backbone.fpn.extra_blocks.p6.weight"}


@pytest.mark.parametrize("backbone", ["resnet18", "mobilenet_v3_small"])
def test_a_classifiers_weights(backbone: str) -> None:
    model = build_detector(f"detection/retinanet_{backbone}", classes=2, seed=1, settings=SMALL)
    weights = torchvision.models.get_model(backbone, weights=None).state_dict()
    load_classifier(model, weights)
    inner = "layer1.0.conv1.weight" if backbone == "resnet18" else "1.block.0.0.weight"
    given = weights[inner if backbone == "resnet18" else f"features.{inner}"]
    assert torch.equal(model.state_dict()[f"backbone.body.{inner}"], given)


def test_names() -> None:
    assert len(DETECTORS) == 14
    assert kind_and_backbone("detection/retinanet_resnet101", "student") == ("retinanet", "resnet101")
    with pytest.raises(InvalidRequest, match=r"Nearest valid choice: detection/fasterrcnn_resnet18") as raised:
        kind_and_backbone("detection/faster_rcnn_resnet18", "student")
    assert raised.value.field == "student"


@pytest.mark.parametrize(
    "wrong", [{"levels": (3, 5)}, {"levels": (1, 2)}, {"channels": 0}, {"anchor": 0.0}, {"ratios": ()}]
)
def test_settings_that_mean_nothing(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        DetectorSettings(**wrong)  # type: ignore[arg-type]  # wrong on purpose


def test_a_canvas_without_whole_cells() -> None:
    check_canvas(Canvas(height=160, width=192), SMALL.levels[-1], "canvas")
    with pytest.raises(InvalidRequest, match=r"144 x 192 px .* Nearest valid choice: 128 x 192|160 x 192"):
        check_canvas(Canvas(height=144, width=192), SMALL.levels[-1], "canvas")
