"""Detectors small enough for a test, on a few made-up pictures with a bright box each."""

from __future__ import annotations

import functools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from dpk_core.catalogue.datasets import DatasetCard
from dpk_core.catalogue.detection.index import SplitIndex
from dpk_core.data.box_files import BoxSplit
from dpk_core.data.split import ImageData, image_data
from dpk_core.detection_settings import Canvas, DetectionSettings, DetectorSettings
from dpk_core.recipes import recipe
from dpk_core.spec import DetectionMethodName, MethodSpec, TeacherReference, TrainingSpec
from dpk_core.training.detectors import detector_of
from dpk_core.training.training import Training, begin

CANVAS = Canvas(height=64, width=64)
SLIM = DetectorSettings(channels=16, anchor=16.0, octaves=1, proposals=20, regions=16, region_side=3, region_width=32)
DETECTION = DetectionSettings(canvas=CANVAS, fasterrcnn=SLIM, retinanet=SLIM)
RECIPE = replace(recipe("detection_small", epochs=2), detection=DETECTION)
CLASSES, TRAIN, JUDGED = 2, 8, 4
STEPS = TRAIN // RECIPE.batch_size
FASTER, RETINA = (f"detection/{kind}_mobilenet_v3_small" for kind in ("fasterrcnn", "retinanet"))
TEACHERS = {FASTER: "detection/fasterrcnn_mobilenet_v3_large", RETINA: "detection/retinanet_mobilenet_v3_large"}


def made_up(seed: int, pictures: int) -> BoxSplit:
    """Dark noise with a red box, class 0, or a green one, class 1."""
    random = np.random.default_rng(seed)
    corners_N2, sides_N2 = random.integers(0, 32, (pictures, 2)), random.integers(16, 32, (pictures, 2))
    classes_N = np.arange(pictures) % CLASSES
    pixels = random.integers(0, 60, (pictures, 3, 64, 64)).astype(np.uint8)
    boxes_N4 = np.concatenate([corners_N2, corners_N2 + sides_N2], 1)
    for place, (left, top, right, bottom) in enumerate(boxes_N4.tolist()):
        pixels[place, classes_N[place], top:bottom, left:right] = 220
    names = np.array([f"{place}.png" for place in range(pictures)])
    truth = SplitIndex(
        names_N=names.astype(np.bytes_), picture_ids_N=np.array([json.dumps(str(name)) for name in names]),
        sizes_N2=np.full((pictures, 2), 64, np.int32),
        first_N1=np.arange(pictures + 1), boxes_M4=boxes_N4.astype(np.float32), classes_M=classes_N.astype(np.int32),
        crowd_M=np.zeros(pictures, np.bool_), areas_M=sides_N2.prod(1).astype(np.float64), box_ids_M=names,
    )  # fmt: skip
    return BoxSplit(Path("nowhere"), truth, CANVAS, torch.zeros(0, dtype=torch.int64), torch.from_numpy(pixels))


@functools.cache
def bright_boxes() -> ImageData:
    """The data set."""
    card = DatasetCard(
        name="boxes/bright", fingerprint="bright", classes=CLASSES, channels=3, side=64, train_pictures=TRAIN,
        validation_pictures=JUDGED, test_pictures=JUDGED, default_recipe="detection_small", canvas=CANVAS,
    )  # fmt: skip
    train, validation, test = made_up(1, TRAIN), made_up(2, JUDGED), made_up(3, JUDGED)
    assert train.pictures is not None
    return image_data(
        card, train=train, validation=validation, read_test=lambda: test, sample_BCHW=train.pictures
    )  # fmt: skip


@functools.cache
def teacher(name: str) -> nn.Module:
    """An untrained teacher: enough to test with."""
    return detector_of(name, DETECTION, bright_boxes().card, seed=9).eval().requires_grad_(False)


def spec(method: MethodSpec | DetectionMethodName, student: str = FASTER, **changes: Any) -> TrainingSpec:
    """The student's training under a method."""
    chosen = method if isinstance(method, MethodSpec) else MethodSpec(name=method)
    taught = None if chosen.name == "none" else TeacherReference(model=TEACHERS[student], training_key="untrained")
    given: dict[str, Any] = {
        "role": "student", "model": student, "dataset": "boxes/bright", "data_fingerprint": "bright",
        "method": chosen, "teacher": taught, "recipe": RECIPE, "seed": 0, "task": "detection",
    }  # fmt: skip
    return TrainingSpec(**{**given, **changes})


def start(chosen: TrainingSpec) -> Training:
    """The training before its first step."""
    return begin(chosen, bright_boxes(), None if chosen.teacher is None else teacher(chosen.teacher.model))
