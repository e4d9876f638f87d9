"""What `dpk evaluate` and `dpk export --format` do with a folder, in a process that has torch.

    python -m dpk_core.runner.student_command [--threads 1] evaluate DIR NAME [--data-root DIR] [--device auto]
        [--detections FILE]
    python -m dpk_core.runner.student_command [--threads 1] convert DIR FORMAT…

The last line on standard output is JSON: `{"refused": sentence}`, or what was found.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from dpk_core.catalogue.datasets import DatasetCard, box_dataset_card, dataset_card
from dpk_core.catalogue.detection.cards import box_dataset_folder, box_dataset_names, is_box_data
from dpk_core.catalogue.detection.store import detection_index
from dpk_core.data.box_files import BoxSplit
from dpk_core.data.source import ImageData, load_dataset
from dpk_core.detection_settings import Canvas, DetectionSettings
from dpk_core.display import listed
from dpk_core.distill.precision import tf32
from dpk_core.errors import DataFault, DpkError, InvalidRequest
from dpk_core.nearest import nearest
from dpk_core.runner.exporters import FORMATS, export
from dpk_core.runner.student_folder import StudentFolder, read_student
from dpk_core.selection.estimate import around_score, wilson
from dpk_core.tasks import TaskName
from dpk_core.training.evaluate import EVALUATORS, Evaluation


def evaluated(
    folder: Path, dataset: str, data_root: Path | None, device: torch.device, detections: Path | None = None
) -> dict[str, Any]:
    """The folder's student on the test pictures of a data set, as a full training evaluates it at its end.

    `detections`: a file to write a detector's boxes into, as COCO's evaluators read them. Raises InvalidRequest for a
    data set that is not there, DataFault for one that the student does not fit.
    """
    student = read_student(folder)
    if student.detector is not None:
        return _evaluated_detector(student, folder, dataset, data_root, device, detections)
    if detections is not None:
        raise InvalidRequest("detections", f"The student of {folder} is a classifier, which finds no boxes.")
    if is_box_data(dataset):
        raise InvalidRequest("dataset", f"{dataset} has boxes, and the student of {folder} is a classifier.")
    card = dataset_card(dataset, data_root, "dataset")
    takes, has = (student.channels, student.height, student.classes), (card.channels, card.side, card.classes)
    if takes != has:
        raise DataFault(f"{card.name} has {_shape(*has)}; the student of {folder} is for {_shape(*takes)}.")
    data = _prepared(student, load_dataset(card, data_root, device))
    found = EVALUATORS["classification"].evaluate(student.model.to(device), data, data.read_test())
    return _answer(student, card, "classification", found)


def _evaluated_detector(
    student: StudentFolder, folder: Path, dataset: str, data_root: Path | None, device: torch.device,
    detections: Path | None,
) -> dict[str, Any]:  # fmt: skip
    # Here, as torchvision takes longer to import than torch.
    from dpk_core.detection.detections import coco_results
    from dpk_core.training.evaluate_detection import found_on, judge

    if not is_box_data(dataset):
        near = nearest(dataset, box_dataset_names(data_root))
        raise InvalidRequest("dataset", f"{dataset} has no boxes, and the student of {folder} is a detector.", near)
    canvas = Canvas(height=student.height, width=student.width)
    card = box_dataset_card(dataset, data_root, "dataset", DetectionSettings(canvas=canvas))
    if student.classes != card.classes:
        raise DataFault(f"{card.name} has {card.classes} classes; the student of {folder} finds {student.classes}.")
    index = detection_index(box_dataset_folder(dataset, data_root, "dataset")).index
    if (names := student.config.get("classes")) not in (None, list(index.classes)):
        raise DataFault(f"The classes of {card.name} are {_named(index.classes)}; the student finds {_named(names)}.")
    data = _prepared(student, load_dataset(card, data_root, device))
    test = data.read_test()
    assert isinstance(test, BoxSplit)
    boxes = found_on(student.model.to(device), data, test)
    if detections is not None:
        detections.write_text(json.dumps(coco_results(boxes, test.truth, index.category_ids)), encoding="utf-8")
    found = judge(boxes, test.truth, card.classes, reported=True)
    return {
        **_answer(student, card, "detection", found),
        "test_details": dict(found.details),
        "classes": list(index.classes),
    }


def _prepared(student: StudentFolder, data: ImageData) -> ImageData:
    """The data scaled as for the student."""
    mean, std = (torch.tensor(each, device=data.device) for each in (student.mean, student.deviation))
    return replace(data, mean=mean, std=std)


def _answer(student: StudentFolder, card: DatasetCard, task: TaskName, found: Evaluation) -> dict[str, Any]:
    count = len(found.evidence_N)
    if task == "classification":
        around = wilson(found.score * count, count)
    else:
        around = around_score(found.score, found.details["error_ap"])
    return {
        "architecture": student.architecture, "task": task, "dataset": card.name, "data_fingerprint": card.fingerprint,
        "same_data": card.fingerprint == student.fingerprint, "test_score": found.score,
        "interval": [around.low, around.high], "test_pictures": count, "test_loss": found.loss,
    }  # fmt: skip


def converted(folder: Path, formats: Sequence[str]) -> dict[str, Any]:
    """Writes the student into its folder in each format, `model.FORMAT` and what goes with it. Raises DataFault where
    one is not possible."""
    student = read_student(folder)
    return {"files": [name for kind in formats for name in export(student, folder, kind)]}


def main(arguments: Sequence[str] | None = None) -> None:
    """Carries out one command and prints its answer."""
    asked = _parser().parse_args(arguments)
    torch.set_num_threads(asked.threads)
    try:
        if asked.command == "convert":
            answer = converted(asked.folder, asked.formats)
        else:
            device = _device(asked.device)
            with tf32(False):  # as a run is evaluated under every precision
                answer = evaluated(asked.folder, asked.dataset, asked.data_root, device, asked.detections)
    except DpkError as error:
        answer = {"refused": str(error)}
    sys.stdout.write(f"\n{json.dumps(answer)}\n")


def _device(wanted: str) -> torch.device:
    try:
        device = torch.device(("cuda:0" if torch.cuda.is_available() else "cpu") if wanted == "auto" else wanted)
        torch.empty(1, device=device)
    # A build of torch without CUDA, one without the device, and a kind that it does not know refuse in different ways.
    except (RuntimeError, AssertionError, NotImplementedError):
        raise InvalidRequest("device", f"This machine has no device {wanted!r}; take auto, cpu or cuda:0.") from None
    return device


def _named(classes: object) -> str:
    return listed([str(each) for each in classes]) if isinstance(classes, list | tuple) else repr(classes)


def _shape(channels: int, side: int, classes: int) -> str:
    return f"{side}x{side} pictures of {channels} channel{'' if channels == 1 else 's'} in {classes} classes"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dpk_core.runner.student_command")
    parser.add_argument("--threads", type=int, default=1)
    commands = parser.add_subparsers(dest="command", required=True)
    evaluating = commands.add_parser("evaluate")
    evaluating.add_argument("folder", type=Path)
    evaluating.add_argument("dataset")
    evaluating.add_argument("--data-root", type=Path)
    evaluating.add_argument("--device", default="auto")
    evaluating.add_argument("--detections", type=Path)
    converting = commands.add_parser("convert")
    converting.add_argument("folder", type=Path)
    converting.add_argument("formats", nargs="+", choices=sorted(FORMATS))
    return parser


if __name__ == "__main__":
    main()
