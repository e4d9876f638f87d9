"""Boxes from an exported detector's outputs in numpy: the detector's own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from dpk_core.catalogue.detection.postprocessing import cell_anchors, postprocessing
from dpk_core.data.boxes import from_canvas
from dpk_core.data.canvas_reading import read_on_canvas
from dpk_core.detection.models import build_detector
from dpk_core.detection.networks import Regions, Trunk
from dpk_core.detection_settings import Canvas, DetectorSettings, Kind
from dpk_core.exported.detect import Array, Detections, detect, prepared
from tests.unit.detection.test_boxes import png
from tests.unit.training.tiny_detection import SLIM

RATIOS = (0.5, 1.0, 2.0)
CANVAS = [96, 64]


def excited(kind: Kind, settings: DetectorSettings) -> nn.Module:
    """A detector whose heads tell places apart, as untrained ones hardly do."""
    model = build_detector(f"detection/{kind}_mobilenet_v3_small", classes=2, seed=4, settings=settings)
    heads = model.rpn if kind == "fasterrcnn" else model.head
    assert isinstance(heads, nn.Module)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for weight in heads.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator) * 0.1)
        for _ in range(3):
            model.backbone(torch.randn(4, 3, *CANVAS, generator=generator))  # type: ignore[operator]  # a module
    return model.eval()


def found_by(model: nn.Module, kind: Kind, settings: DetectorSettings, picture_1CHW: torch.Tensor) -> Detections:
    def regions(given: Array) -> list[Array]:
        with torch.no_grad():
            return [each.numpy() for each in Regions(model)(torch.from_numpy(given))]

    trunk = Trunk(model)
    with torch.no_grad():
        outputs = [each.numpy() for each in trunk(picture_1CHW)]
    assert len(outputs) == len(trunk.outputs)
    config = {"canvas": CANVAS, "detector": postprocessing(kind, settings)}
    return detect(outputs, config, regions if kind == "fasterrcnn" else None)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("fasterrcnn", {}), ("fasterrcnn", {"levels": (2, 3, 4, 5), "ratios": RATIOS, "proposals": 60}),
        ("fasterrcnn", {"levels": (4,)}), ("retinanet", {}),
        ("retinanet", {"pooled": False, "octaves": 3, "ratios": RATIOS}),
    ],
)  # fmt: skip
def test_the_boxes_are_the_detectors_own(kind: Kind, changes: dict[str, object]) -> None:
    settings = replace(SLIM, **changes)  # type: ignore[arg-type]  # of several types
    model = excited(kind, settings)
    picture_1CHW = torch.randn(1, 3, *CANVAS, generator=torch.Generator().manual_seed(6))
    with torch.no_grad():
        (own,) = model(picture_1CHW)
    found = found_by(model, kind, settings, picture_1CHW)
    assert len(found.scores_D) == len(own["scores"]) >= 10
    np.testing.assert_allclose(found.scores_D, own["scores"], atol=1e-6)
    # Of two detections with one score either may come first.
    order, others = np.lexsort(found.boxes_D4.round(1).T), np.lexsort(own["boxes"].numpy().round(1).T)
    np.testing.assert_allclose(found.boxes_D4[order], own["boxes"].numpy()[others], atol=1e-3)
    first = 1 if kind == "fasterrcnn" else 0
    np.testing.assert_array_equal(found.classes_D[order], own["labels"].numpy()[others] - first)


@pytest.mark.parametrize("kind", ["fasterrcnn", "retinanet"])
def test_the_numbers_are_torchvisions(kind: Kind) -> None:
    settings = replace(SLIM, octaves=3, ratios=RATIOS, pooled=False)
    if kind == "fasterrcnn":
        settings = replace(settings, pooled=True, proposals=3000)
    model = build_detector(f"detection/{kind}_mobilenet_v3_small", classes=2, seed=0, settings=settings).eval()
    said = postprocessing(kind, settings)
    heads = model.roi_heads if kind == "fasterrcnn" else model
    generator = model.rpn.anchor_generator if kind == "fasterrcnn" else model.anchor_generator  # type: ignore[union-attr]  # modules
    assert [each.tolist() for each in generator.cell_anchors] == cell_anchors(settings)  # type: ignore[union-attr]  # a list
    assert (said["least_score"], said["overlap"], said["detections"]) == (
        heads.score_thresh, heads.nms_thresh, heads.detections_per_img,
    )  # type: ignore[union-attr]  # numbers  # fmt: skip
    assert said["box_weights"] == list(heads.box_coder.weights)  # type: ignore[union-attr]  # a tuple
    if kind == "retinanet":
        assert said["level_candidates"] == model.topk_candidates
        return
    proposals, rpn, pool = said["proposals"], model.rpn, heads.box_roi_pool  # type: ignore[union-attr]  # a module
    assert proposals["number"] == rpn.pre_nms_top_n() == rpn.post_nms_top_n() == 1000  # type: ignore[operator,union-attr]  # methods
    assert (proposals["overlap"], proposals["least_side"]) == (rpn.nms_thresh, rpn.min_size)  # type: ignore[union-attr]  # numbers
    regions = said["regions"]
    assert (regions["samples"], regions["canonical_side"], regions["canonical_level"]) == (
        pool.sampling_ratio, pool.canonical_scale, pool.canonical_level,
    )  # type: ignore[union-attr]  # numbers  # fmt: skip


def test_a_picture_is_prepared_as_for_training_and_boxes_come_back() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (90, 50, 3), np.uint8)
    content = png(pixels, orientation=6)
    config = {"canvas": [48, 40], "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.4]}
    import io

    found = prepared(Image.open(io.BytesIO(content)), config)
    trained = read_on_canvas("a.png", content, 50, 90, Canvas(height=48, width=40)).astype(np.float32)
    expected = (trained / 255 - np.reshape(config["mean"], (3, 1, 1))) / np.reshape(config["std"], (3, 1, 1))
    np.testing.assert_allclose(found[0], expected, atol=1e-5)
    boxes = np.array([[2.0, 3, 20, 17], [-5, 0, 100, 100]])
    made = Detections(boxes.astype(np.float32), np.zeros(2, np.int64), np.ones(2, np.float32)).on_picture(
        90, 50, config
    )
    np.testing.assert_allclose(made.boxes_D4, from_canvas(boxes, 50, 90, Canvas(height=48, width=40)), atol=1e-4)


def test_a_faster_rcnn_needs_both_networks() -> None:
    with pytest.raises(ValueError, match=r"needs the network regions\.onnx too"):
        detect([], {"canvas": CANVAS, "detector": postprocessing("fasterrcnn", SLIM)})
