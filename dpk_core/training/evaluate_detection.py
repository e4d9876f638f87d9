"""How well a detector finds the boxes of a split: average precision, and a number per picture whose mean it is."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from dpk_core.catalogue.detection.index import SplitIndex
from dpk_core.data.batches import pictures_in_order
from dpk_core.data.box_files import BoxSplit
from dpk_core.data.split import ImageData, PictureSplit
from dpk_core.detection.average_precision import AT_50, AT_75, average_precision, refereed
from dpk_core.detection.detections import Detections, joined
from dpk_core.detection.detector import detect
from dpk_core.detection.jackknife import pseudo_values
from dpk_core.detection.matches import match
from dpk_core.evidence import sampling_variance
from dpk_core.models.evaluating import evaluating
from dpk_core.training.evaluate import Evaluation, pictures_at_once


def judged(model: nn.Module, data: ImageData, split: PictureSplit, *, reported: bool) -> Evaluation:
    """See `Evaluator.evaluate`. By hotcoco, and by pycocotools where the score is `reported`."""
    assert isinstance(split, BoxSplit)
    return judge(found_on(model, data, split), split.truth, data.card.classes, reported=reported)


def judge(found: Detections, truth: SplitIndex, classes: int, *, reported: bool) -> Evaluation:
    """How well detections find the boxes of a split. A `reported` evaluation also has each class's score, and of every
    score but those by size its standard error over pictures."""
    score = (refereed if reported else average_precision)(truth, found, classes)
    matches = match(truth, found, classes)
    evidence_N = pseudo_values(matches)
    details = {
        "ap50": score.ap50, "ap75": score.ap75,
        "ap_small": score.small, "ap_medium": score.medium, "ap_large": score.large,
    }  # fmt: skip
    if reported:
        details |= {f"ap_class_{label}": value for label, value in enumerate(score.by_class_C)}
        parts = {"ap": matches, "ap50": matches.at(AT_50), "ap75": matches.at(AT_75)}
        parts |= {f"ap_class_{label}": each for label, each in matches.by_class().items()}
        details |= {
            f"error_{name}": math.sqrt(sampling_variance(pseudo_values(each).astype(np.float32)))
            for name, each in parts.items()
        }
    return Evaluation(
        score=score.ap, loss=None, evidence_N=torch.from_numpy(evidence_N.astype(np.float32)),
        details={name: value for name, value in details.items() if math.isfinite(value)},
    )  # fmt: skip


def found_on(model: nn.Module, data: ImageData, split: BoxSplit) -> Detections:
    """What a detector finds on a split, in evaluation mode; it is put back into the mode it was in."""
    batches = pictures_in_order(split, pictures_at_once(math.prod(data.card.size)))
    with evaluating(model):
        return joined(
            [
                detect(
                    model, data.normalise(pictures_BCHW), int(positions_B[0]),
                    split.truth.sizes_N2[positions_B.numpy()].tolist(),
                )
                for positions_B, pictures_BCHW in batches
            ]
        )  # fmt: skip
