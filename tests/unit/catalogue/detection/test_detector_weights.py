"""What weights of detectors must fit, without building one: names, shapes, how it is built for them, and classes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from dpk_core.catalogue.detection import weights as detector_weights
from dpk_core.catalogue.detection.coco_classes import COCO_CLASSES
from dpk_core.catalogue.detection.detectors import BACKBONES, KINDS, kind_and_backbone
from dpk_core.catalogue.detection.parameters import detector_parameters
from dpk_core.catalogue.detection.weights import class_map, fit, without_background
from dpk_core.catalogue.parameters import Parameter, Parameters
from dpk_core.catalogue.published import coco_classes, published_for
from dpk_core.catalogue.weights import find_weights, word_for
from dpk_core.codec import to_json
from dpk_core.detection.models import build_detector
from dpk_core.detection_settings import COCO, SMALL, DetectionSettings, DetectorSettings, Kind
from dpk_core.errors import InvalidRequest
from tests.unit.training.tiny_detection import DETECTION, FASTER, RETINA, SLIM


def shapes(state: Mapping[str, Tensor]) -> Parameters:
    return {name: Parameter(tuple(each.shape), each.is_floating_point()) for name, each in state.items()}


def on_meta(name: str, settings: DetectorSettings, classes: int = 2) -> nn.Module:
    """Nothing is drawn, so that a large one takes no time."""
    with torch.device("meta"):
        return build_detector(name, classes=classes, seed=0, settings=settings)


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_list_is_that_of_the_built_detector(kind: Kind, backbone: str) -> None:
    ways = [SMALL, COCO[kind], replace(SMALL, levels=(2, 3, 4), pooled=False, ratios=(0.5, 1.0))]
    for settings in ways if backbone in ("resnet18", "mobilenet_v3_small") else ways[1:2]:
        built = on_meta(f"detection/{kind}_{backbone}", settings, 3)
        assert detector_parameters(kind, backbone, settings, 3) == shapes(built.state_dict())


class TestFit:
    @pytest.mark.parametrize("name", [FASTER, RETINA])
    @pytest.mark.parametrize("prefix", ["", "module.", "ema/model."])
    def test_the_first_way_to_build_it_that_fits(self, name: str, prefix: str) -> None:
        kind = kind_and_backbone(name, "model")[0]
        tensors = {f"{prefix}{key}": each for key, each in shapes(on_meta(name, SLIM, 5).state_dict()).items()}
        found = fit(name, tensors, (SMALL, SLIM, COCO[kind]), "a.pth", "weights")
        assert (found.part, found.settings, found.classes, found.prefix) == ("whole", SLIM, 5, prefix)

    def test_its_backbone_as_a_classifier(self) -> None:
        import torchvision

        with torch.device("meta"):
            state = torchvision.models.mobilenet_v3_small(weights=None, num_classes=7).state_dict()
        found = fit(FASTER, {f"model.{key}": each for key, each in shapes(state).items()}, (SLIM,), "a", "weights")
        assert (found.part, found.classes, found.prefix) == ("backbone", 0, "model.")

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            (replace(SLIM, channels=32), "the shape (32, 24, 1, 1), and the model's has (16, 24, 1, 1)"),
            (replace(SLIM, pyramid_norm=False), "they lack 'backbone.fpn.inner_blocks.0.1.weight' and 23 more and they "
             "hold 'backbone.fpn.inner_blocks.0.0.bias' and 5 more, which it does not have"),
            (replace(SLIM, octaves=2), "'rpn.head.cls_logits.weight' has the shape (2, 16, 1, 1), and the model's has"),
        ],
    )  # fmt: skip
    def test_the_first_thing_that_does_not_fit_is_named(self, given: DetectorSettings, words: str) -> None:
        with pytest.raises(InvalidRequest) as refused:
            fit(FASTER, shapes(on_meta(FASTER, given).state_dict()), (SLIM,), "a.pth", "weights")
        assert words in str(refused.value)
        assert "The weights a.pth do not fit detection/fasterrcnn_mobilenet_v3_small as the recipe builds it" in str(
            refused.value
        )

    @pytest.mark.parametrize("other", [RETINA, "detection/fasterrcnn_resnet18"])
    def test_another_detectors(self, other: str) -> None:
        with pytest.raises(InvalidRequest, match=r"do not fit .* they (lack|hold) "):
            fit(FASTER, shapes(on_meta(other, SLIM).state_dict()), (SLIM,), "a.pth", "weights")

    def test_another_backbones_classifier(self) -> None:
        with pytest.raises(InvalidRequest, match=r"do not fit torchvision/mobilenet_v3_small: they lack"):
            fit(FASTER, {"conv1.weight": Parameter((64, 3, 7, 7))}, (SLIM,), "a.pth", "weights")

    def test_integers_are_no_weights(self) -> None:
        tensors = dict(shapes(on_meta(FASTER, SLIM).state_dict()))
        tensors["rpn.head.cls_logits.bias"] = Parameter((1,), floating=False)
        with pytest.raises(InvalidRequest, match="are not of the type float16"):
            fit(FASTER, tensors, (SLIM,), "a.pth", "weights")

    def test_a_number_of_rows_that_is_no_number_of_classes(self) -> None:
        two = replace(SLIM, octaves=2)
        tensors = dict(shapes(on_meta(RETINA, two, 3).state_dict()))
        tensors["head.classification_head.cls_logits.weight"] = Parameter((7, 16, 3, 3))
        with pytest.raises(InvalidRequest, match="has 7 rows, which is no number of classes for it"):
            fit(RETINA, tensors, (two,), "a.pth", "weights")


class TestPublished:
    def test_the_backbones_and_on_coco_the_whole_detector(self) -> None:
        tags = published_for("detection/fasterrcnn_resnet50", "weights")
        assert next(iter(tags)) == "IMAGENET1K_V2"
        assert tags["a1_in1k"][0] == "timm/resnet50"
        assert tags["COCO_V1"][1].name == "fasterrcnn_resnet50_fpn_coco-258fb6c6.pth"
        assert "COCO_V1" not in published_for("detection/fasterrcnn_resnet18", "weights")
        assert {name for name, _ in published_for(FASTER, "weights").values()} == {"torchvision/mobilenet_v3_small"}

    def test_they_are_what_torchvision_publishes(self) -> None:
        from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights as Faster
        from torchvision.models.detection import RetinaNet_ResNet50_FPN_Weights as Retina

        from dpk_core.detection.published import URL

        for kind, weights in (("fasterrcnn", Faster.COCO_V1), ("retinanet", Retina.COCO_V1)):
            name = f"detection/{kind}_resnet50"
            assert f"{URL}{published_for(name, 'weights')['COCO_V1'][1].name}" == weights.url
            names = weights.meta["categories"]
            assert coco_classes(name) == tuple(names if kind == "retinanet" else names[1:])

    @pytest.mark.parametrize("name", ["detection/fasterrcnn_resnet50", "detection/retinanet_resnet50"])
    def test_their_file_fits_whatever_its_age(self, name: str) -> None:
        """The published files have names of before torchvision 0.13."""
        kind = kind_and_backbone(name, "model")[0]
        classes = len(coco_classes(name))
        new = shapes(on_meta(name, COCO[kind], classes).state_dict())
        old = {_as_it_was(key): each for key, each in new.items() if not key.endswith("num_batches_tracked")}
        assert len(old.keys() - new.keys()) == {"fasterrcnn": 18, "retinanet": 28}[kind]
        found = fit(name, old, (SMALL, COCO[kind]), "a.pth", "weights")
        assert (found.settings, found.classes) == (COCO[kind], classes)


def _as_it_was(name: str) -> str:
    if ".conv." in name and name.startswith("head."):
        head, _, rest = name.partition(".conv.")
        place, _, part = rest.partition(".0.")
        return f"{head}.conv.{2 * int(place)}.{part}"
    if ".fpn." in name and "_blocks." in name and "extra" not in name:
        return (
            name.replace(".0.weight", ".weight").replace(".0.bias", ".bias").replace("blocks.weight", "blocks.0.weight")
        )
    return name.replace("rpn.head.conv.0.0.", "rpn.head.conv.")


class TestFound:
    """By the word in a request."""

    def test_published_ones(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DPK_DOWNLOAD", "1")
        name = "detection/fasterrcnn_resnet50"
        backbone, whole = (find_weights(name, word, None, "weights") for word in ("pretrained", "COCO_V1"))
        assert backbone is not None
        assert (backbone.start.name, backbone.made_for.classes, backbone.detector) == ("resnet50-11ad3fa6.pth", 0, None)
        assert backbone.stated.preprocessing is None
        assert whole is not None
        assert (whole.made_for.classes, whole.detector, whole.stated.classes) == (90, COCO["fasterrcnn"], COCO_CLASSES)
        assert whole.stated.preprocessing is not None
        assert (word_for(name, backbone.start), word_for(name, whole.start)) == ("pretrained", "COCO_V1")
        timm = find_weights(name, "a1_in1k", None, "weights")
        assert timm is not None
        assert timm.start.identity.startswith("timm ")
        with pytest.raises(InvalidRequest, match="Nearest valid choice: COCO_V1"):
            find_weights(name, "COCO_V2", None, "weights")

    def test_ones_that_are_not_here(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("TORCH_HOME", str(tmp_path))
        monkeypatch.delenv("DPK_DOWNLOAD", raising=False)
        with pytest.raises(InvalidRequest, match="are not in the hub cache here"):
            find_weights("detection/retinanet_resnet50", "COCO_V1", None, "weights")

    def test_a_file_with_what_dpk_export_wrote_beside_it(self, tmp_path: Path) -> None:
        model = build_detector(FASTER, classes=3, seed=0, settings=SLIM)
        save_file(model.state_dict(), tmp_path / "model.safetensors")
        said = {
            "task": "detection", "input_size": [3, 192, 160], "mean": [0.4] * 3, "std": [0.2] * 3,
            "detector": {"settings": to_json(SLIM)}, "classes": ["__background__", "cat", "dog", "cow"],
        }  # fmt: skip
        (tmp_path / "config.json").write_text(json.dumps(said))
        found = find_weights(FASTER, "file:model.safetensors", tmp_path, "weights")
        assert found is not None
        assert (found.detector, found.made_for.classes, found.stated.classes) == (SLIM, 3, ("cat", "dog", "cow"))
        assert found.stated.preprocessing is not None
        assert found.stated.preprocessing.mean == (0.4,) * 3
        (tmp_path / "config.json").unlink()
        with pytest.raises(InvalidRequest, match="as the recipe builds it"):
            find_weights(FASTER, "file:model.safetensors", tmp_path, "weights")
        assert find_weights(FASTER, "file:model.safetensors", tmp_path, "weights", DETECTION) is not None
        (tmp_path / "config.json").write_text('{"detector": {"settings": {"levels": [9]}}}')
        with pytest.raises(InvalidRequest, match=r"What config\.json says of the weights .* levels are 2 … 5"):
            find_weights(FASTER, "file:model.safetensors", tmp_path, "weights")


def test_classes_by_name() -> None:
    theirs = ("person", "traffic light", "N/A", "cat", "N/A")
    assert class_map(theirs, ("Cat", "traffic_light", "cow", "n/a")) == (3, 1, -1, -1)
    assert without_background(("background", "a", "b"), 2) == without_background(["a", "b"], 2) == ("a", "b")
    assert without_background(["a", "b"], 3) is None
    assert detector_weights.present_name("head.regression_head.conv.6.bias") == "head.regression_head.conv.3.0.bias"


def test_settings_of_one_kind() -> None:
    changed = DetectionSettings().built("retinanet", SLIM)
    assert (changed.of("retinanet"), changed.of("fasterrcnn")) == (SLIM, SMALL)
