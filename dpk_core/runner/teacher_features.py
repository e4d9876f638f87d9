"""What a teacher shows before it teaches: features and answers on training pictures, and its distance to a student.

Transfer scores are computed from it (`dpk_core.selection.evaluate.transfer_scores`).
Legend: N pictures, D features, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dpk_core.data.split import ImageData
from dpk_core.distill.cka import unbiased_cka
from dpk_core.models.evaluating import evaluating
from dpk_core.models.preprocessing import side_seen
from dpk_core.models.taps import FeatureTaps, last_tap
from dpk_core.randomness import derive
from dpk_core.training.evaluate import pictures_at_once

PICTURES = 2000
"""Training pictures looked at, at most, and the same ones for every teacher."""
BATCH = 250
"""Pictures at once; fewer where the teacher sees large ones."""
CKA_PICTURES = 250
"""CKA is taken over one batch, as large as memory lets every pair of networks have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherFeatures:
    """`features_ND`: the last feature map's means over its positions; all on the CPU, float32."""

    features_ND: Tensor
    logits_NC: Tensor
    labels_N: Tensor


def teacher_features(teacher: nn.Module, name: str, data: ImageData) -> TeacherFeatures:
    """Looks at the training pictures through the teacher, unaugmented, in evaluation mode. Raises InvalidRequest where
    it has no taps."""
    features, logits, labels = [], [], []
    with evaluating(teacher), FeatureTaps(teacher, [last_tap(name)]) as taps, torch.no_grad():
        batch = pictures_at_once(side_seen(teacher, data.card.side) ** 2, most=BATCH)
        for positions_B in torch.split(chosen(data), batch):
            pictures_BCHW = data.train.start_reading(positions_B)()
            logits.append(teacher(data.normalise(pictures_BCHW)).float().cpu())
            features.append(taps.maps[0].float().mean((2, 3)).cpu())
            labels.append(data.train.labels[positions_B.to(data.device)].cpu())
    return TeacherFeatures(features_ND=torch.cat(features), logits_NC=torch.cat(logits), labels_N=torch.cat(labels))


def cka_gap(student: nn.Module, student_name: str, teacher: nn.Module, teacher_name: str, data: ImageData) -> float:
    """1 − CKA of the last feature maps, before the student has learnt anything. NaN where CKA is undefined."""
    pictures_BCHW = data.normalise(data.train.start_reading(chosen(data)[:CKA_PICTURES])())
    maps = []
    for model, name in ((student, student_name), (teacher, teacher_name)):
        with evaluating(model), FeatureTaps(model, [last_tap(name)]) as taps, torch.no_grad():
            model(pictures_BCHW)
        maps.append(taps.maps[0])
    return 1 - float(unbiased_cka(*maps))


def chosen(data: ImageData) -> Tensor:
    """Positions of the training pictures that are looked at, the same for every teacher."""
    generator = torch.Generator().manual_seed(derive(0, "survey"))
    return torch.randperm(len(data.train), generator=generator)[:PICTURES]
