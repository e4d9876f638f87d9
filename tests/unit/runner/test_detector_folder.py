"""An exported detector: measured again, against pycocotools by itself, and in other formats."""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import safetensors.torch
import torch
from onnx.reference import ReferenceEvaluator
from PIL import Image
from torch import nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.ops import MultiScaleRoIAlign

from dpk_core.catalogue.datasets import box_dataset_card
from dpk_core.catalogue.detection.postprocessing import anchor_sizes
from dpk_core.data.canvas_reading import read_on_canvas
from dpk_core.data.source import load_dataset
from dpk_core.detection.models import OnCanvas, build_detector
from dpk_core.detection_settings import Canvas, DetectionSettings, DetectorSettings
from dpk_core.errors import DataFault, InvalidRequest
from dpk_core.exported import detect
from dpk_core.runner import exporters
from dpk_core.runner.student_command import evaluated, main
from dpk_core.runner.student_folder import StudentFolder, read_student
from dpk_core.training.evaluate import EVALUATORS
from service.students.service import _detector
from tests.unit.catalogue.detection.detection_sets import sound_documents, write_coco
from tests.unit.runner.coco_referee import average_precision
from tests.unit.runner.student_folders import write_folder
from tests.unit.training.tiny_detection import CANVAS, DETECTION, FASTER, SLIM

CPU = torch.device("cpu")
STATISTICS: dict[str, Any] = {"mean": [0.5] * 3, "std": [0.25] * 3}


def network() -> nn.Module:
    """Untrained, so that it finds the same boxes in all pictures, at a score of about a third."""
    return build_detector(FASTER, classes=2, seed=3, settings=SLIM).eval()


def config(**changes: object) -> dict[str, Any]:
    """As the service writes it."""
    said = {"num_classes": 2, "classes": ["cat", "dog"], "input_size": [3, CANVAS.height, CANVAS.width], **STATISTICS}
    return _detector(FASTER, DETECTION) | said | changes


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data whose test boxes are some of those that the network finds, moved a little."""
    folder = tmp_path_factory.mktemp("detector")
    documents = sound_documents(pictures=4)
    write_coco(folder / "data" / "pets", documents)
    student = write_folder(folder / "student", network(), FASTER, **config())
    evaluated(student, "boxes/pets", folder / "data", CPU, folder / "first.json")
    found = [each for each in json.loads((folder / "first.json").read_text()) if min(each["bbox"][2:]) > 6]
    truth = [
        {"id": number + 1, "iscrowd": 0, "area": width * height * 0.9, "image_id": each["image_id"],
         "category_id": each["category_id"], "bbox": [left + number % 3, top, width - 4, height - 2]}
        for number, each in enumerate(found[:: len(found) // 12])
        for left, top, width, height in [each["bbox"]]
    ]  # fmt: skip
    write_coco(folder / "data" / "pets", {**documents, "test": {**documents["test"], "annotations": truth}})
    return folder


def test_its_score_is_the_networks_and_that_of_pycocotools_by_itself(root: Path, tmp_path: Path) -> None:
    found = evaluated(root / "student", "boxes/pets", root / "data", CPU, tmp_path / "found.json")
    card = box_dataset_card("boxes/pets", root / "data", "dataset", DetectionSettings(canvas=CANVAS))
    data = load_dataset(card, root / "data", CPU)
    data = replace(data, mean=torch.full((3,), 127.5), std=torch.full((3,), 63.75))
    own = EVALUATORS["detection"].evaluate(network(), data, data.read_test(), reported=True)
    assert found["test_score"] == own.score > 0.01
    assert found["test_details"] == own.details
    assert (found["task"], found["test_pictures"], found["classes"]) == ("detection", 4, ["cat", "dog"])
    annotations = root / "data" / "pets" / "annotations" / "instances_test.json"
    referee = average_precision(str(annotations), str(tmp_path / "found.json"))
    assert referee == pytest.approx(found["test_score"], abs=1e-6)


def test_the_details_of_a_reported_score(root: Path) -> None:
    """By overlap, size and class; and a standard error of what is a mean over pictures."""
    details = evaluated(root / "student", "boxes/pets", root / "data", CPU)["test_details"]
    assert {"ap50", "ap75", "ap_small", "ap_class_0", "ap_class_1", "error_ap", "error_ap50", "error_ap_class_1"} <= (
        details.keys()
    )
    assert details["ap50"] >= details["ap75"]
    assert details["error_ap"] > 0


@pytest.mark.parametrize(
    ("dataset", "changes", "words"),
    [
        ("digits", {}, "digits has no boxes, and the student of"),
        ("boxes/pet", {}, "Nearest valid choice: boxes/pets"),
        ("boxes/pets", {"classes": ["dog", "cat"]}, "are cat, dog; the student finds dog, cat"),
        ("boxes/pets", {"num_classes": 3, "classes": None}, "does not hold the weights of"),
        ("boxes/pets", {"detector": {}}, "is no configuration of a student"),
        ("boxes/pets", {"detector": {"settings": {"levels": [9]}}}, "is no configuration of a student"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(
    dataset: str, changes: dict[str, object], words: str, root: Path, tmp_path: Path
) -> None:
    folder = write_folder(tmp_path / "student", network(), FASTER, **config(**changes))
    with pytest.raises((DataFault, InvalidRequest)) as refused:
        evaluated(folder, dataset, root / "data", CPU)
    assert words in str(refused.value)


def test_a_classifier_finds_no_boxes(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from dpk_core.models.build import build_model

    plain = build_model("cifar/resnet8w4", classes=10, channels=1, seed=0, side=8)
    folder = str(write_folder(tmp_path / "plain", plain, "cifar/resnet8w4"))
    main(["evaluate", folder, "boxes/pets", "--data-root", str(root / "data")])
    assert "boxes/pets has boxes, and the student of" in capsys.readouterr().out
    main(["evaluate", folder, "digits", "--detections", str(tmp_path / "x.json")])
    assert "is a classifier, which finds no boxes" in capsys.readouterr().out


class Body(nn.Module):
    """In place of a backbone with its pyramid, which takes an exporter ten seconds."""

    out_channels = SLIM.channels

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, SLIM.channels, 3, stride=16, padding=1)
        self.second = nn.Conv2d(SLIM.channels, SLIM.channels, 3, stride=2, padding=1)

    def forward(self, pictures_BCHW: torch.Tensor) -> dict[str, torch.Tensor]:
        first = self.first(pictures_BCHW)
        second = self.second(first)
        return OrderedDict({"0": first, "1": second, "pool": nn.functional.max_pool2d(second, 1, 2)})


@pytest.fixture(scope="module")
def small() -> StudentFolder:
    settings: DetectorSettings = replace(SLIM, levels=(4, 5))
    torch.manual_seed(1)
    sizes = anchor_sizes(settings)
    model = FasterRCNN(
        Body(), rpn_anchor_generator=AnchorGenerator(sizes, (settings.ratios,) * len(sizes)),
        rpn_pre_nms_top_n_test=settings.proposals, rpn_post_nms_top_n_test=settings.proposals,
        box_roi_pool=MultiScaleRoIAlign(["0", "1"], settings.region_side, sampling_ratio=2),
        box_head=TwoMLPHead(settings.channels * settings.region_side**2, settings.region_width),
        box_predictor=FastRCNNPredictor(settings.region_width, 3),
    )  # fmt: skip
    model.transform, model.built_with = OnCanvas(), settings
    detection = replace(DETECTION, fasterrcnn=settings)
    return StudentFolder(
        model=model.eval(), architecture=FASTER, classes=2, channels=3, height=64, width=64, mean=(0.0,) * 3,
        deviation=(1.0,) * 3, fingerprint=None, config=_detector(FASTER, detection), detector=settings,
    )  # fmt: skip


@pytest.mark.filterwarnings("default")  # of torch's exporters about themselves
def test_its_networks_with_detect_py_are_the_detector(small: StudentFolder, tmp_path: Path) -> None:
    assert exporters.export(small, tmp_path, "onnx") == ["model.onnx", "regions.onnx", "detect.py"]
    assert exporters.export(small, tmp_path, "pt2") == ["model.pt2", "regions.pt2", "detect.py"]
    assert (tmp_path / "detect.py").read_text() == Path(detect.__file__).read_text()
    model, regions = (ReferenceEvaluator(onnx.load(tmp_path / name)) for name in ("model.onnx", "regions.onnx"))
    picture_1CHW = torch.randn(1, 3, 64, 64)
    outputs = model.run(None, {"pictures": picture_1CHW.numpy()})
    found = detect.detect(outputs, small.config, lambda each: regions.run(None, {"regions": each}))
    with torch.no_grad():
        (own,) = small.model(picture_1CHW)
    assert exporters._found_again(own, found, 1) > 0.9
    program = torch.export.load(tmp_path / "model.pt2").module()
    torch.testing.assert_close(program(picture_1CHW)[0].detach(), torch.from_numpy(outputs[0]), atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "I;16", "L"])
def test_detect_py_reads_pictures_as_training_does(tmp_path: Path, mode: str) -> None:
    random = np.random.default_rng(0)
    if mode == "I;16":
        picture = Image.fromarray(random.integers(0, 2**16, (40, 60), np.uint16))
    else:
        picture = Image.fromarray(random.integers(0, 256, (40, 60, 4), np.uint8)).convert(mode)
    picture.save(tmp_path / "a.png")
    config = {"canvas": [48, 48], "mean": [0.0] * 3, "std": [1 / 255] * 3}
    content = (tmp_path / "a.png").read_bytes()
    expected = read_on_canvas("a.png", content, 40, 60, Canvas(height=48, width=48))
    found = detect.prepared(Image.open(tmp_path / "a.png"), config)[0]
    assert np.abs(found - expected).max() < 1e-3


def test_other_boxes_end_the_export(small: StudentFolder, tmp_path: Path) -> None:
    other = {**small.config, "detector": {**small.config["detector"], "overlap": 0.2}}
    with pytest.raises(DataFault, match=r"detect\.py does not give the detector's own boxes"):
        exporters._check_boxes(replace(small, config=other))


def test_a_whole_folder_is_read(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "student", network(), FASTER, **config())
    student = read_student(folder)
    assert (student.height, student.width, student.detector) == (64, 64, SLIM)
    expected = safetensors.torch.load_file(folder / "model.safetensors")
    assert all(torch.equal(each, expected[name]) for name, each in student.model.state_dict().items())
