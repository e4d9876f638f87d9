"""What a detector finds on the few validation pictures that are shown beside its score."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import nn

from dpk_core.catalogue.detection.samples import (
    LEAST_SCORE,
    MOST_BOXES,
    DetectionSamples,
    SampleBox,
    SamplePicture,
    sample_box,
    sample_positions,
    true_picture,
)
from dpk_core.catalogue.detection.store import detection_index
from dpk_core.data.box_files import BoxSplit
from dpk_core.data.split import ImageData
from dpk_core.detection.detector import detect
from dpk_core.models.evaluating import evaluating


def detection_samples(model: nn.Module, data: ImageData) -> DetectionSamples:
    """True boxes and detections on a few validation pictures; the model is put back into the mode it was in."""
    split = data.validation
    assert isinstance(split, BoxSplit)
    classes = detection_index(split.folder).index.classes
    with evaluating(model):
        return DetectionSamples(
            pictures=tuple(_sample(model, data, split, classes, each) for each in sample_positions(split.truth))
        )


def _sample(
    model: nn.Module, data: ImageData, split: BoxSplit, classes: tuple[str, ...], position: int
) -> SamplePicture:
    picture = true_picture(split.folder, split.truth, classes, position)
    pictures_1CHW = split.start_reading(torch.tensor([position]))()
    size = picture.height, picture.width
    found = detect(model, data.normalise(pictures_1CHW), position, [size]).finite()
    surest = [each for each in np.argsort(-found.scores_D, kind="stable") if found.scores_D[each] >= LEAST_SCORE]
    boxes: list[SampleBox] = [
        sample_box(found.boxes_D4[each].tolist(), size, classes[found.classes_D[each]], float(found.scores_D[each]))
        for each in surest[:MOST_BOXES]
    ]
    return replace(picture, found=tuple(boxes))
