"""Contrastive representation distillation with its memory bank (Tian et al., 1910.10699, section 3).

Legend: B pictures of a batch, N pictures of the training split, K negatives, E width of the embedding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from dpk_core.data.to_device import to_device
from dpk_core.distill.contrast import Bank, Negatives, embed
from dpk_core.distill.inputs import MethodInputs, Taps, deepest_taps
from dpk_core.distill.method import Method, StepContext, StepOutcome, outcome
from dpk_core.distill.pooling import pooled_vector
from dpk_core.distill.tapped import TappedMethod
from dpk_core.errors import InvalidRequest
from dpk_core.models.initialisation import own_randomness
from dpk_core.randomness import derive


@dataclass(frozen=True, slots=True, kw_only=True)
class CrdOptions:
    """The authors' for CIFAR-100 (appendix). `negatives`: at most so many a picture, and never more than the training
    split has pictures."""

    class_weight: float = 1.0
    feature_weight: float = 0.8
    width: int = 128
    negatives: int = 16384
    temperature: float = 0.07
    momentum: float = 0.5


class Crd(TappedMethod):
    """L = CE + β · (contrast of the student's embedding with the teachers' bank, and the other way round).

    The embedding is of the last map, averaged over its positions. The bank holds an embedding of every training picture
    for both networks and is part of `extras`, and so of a checkpoint: 1 KiB a picture.
    """

    name: ClassVar[str] = "crd"

    def __init__(
        self, student: nn.Module, teacher: nn.Module, taps: Taps, labels_N: Tensor, options: CrdOptions
    ) -> None:
        """Draws its first embeddings from the global generator. `labels_N`: of the whole training split."""
        super().__init__(student, teacher, taps)
        self.options = options
        self.negatives = Negatives(labels_N)
        self.extras["student_embedding"] = nn.Linear(taps.student_shapes[0][1], options.width)
        self.extras["teacher_embedding"] = nn.Linear(taps.teacher_shapes[0][1], options.width)
        self.bank = Bank(len(labels_N), options.width, options.momentum)
        self.extras["bank"] = self.bank

    def forward(self, pictures_BCHW: Tensor, labels_B: Tensor, step: StepContext) -> StepOutcome:
        """Parts: `loss_class`, `loss_features`, before their weights.

        Raises ValueError when the step does not say which pictures of the training split it sees.
        """
        if step.positions_B is None:
            raise ValueError("CRD needs the positions of a batch's pictures in the training split")
        seen = self.run_both(pictures_BCHW)
        positions_B = to_device(step.positions_B, pictures_BCHW.device)
        student_BE = embed(self.extras["student_embedding"](pooled_vector(seen.student_maps[0])))
        teacher_BE = embed(self.extras["teacher_embedding"](pooled_vector(seen.teacher_maps[0])))
        count = min(self.options.negatives, self.bank.pictures)
        every_B, *every_BE = step.world.gather_all(positions_B, student_BE.detach(), teacher_BE.detach())
        drawn_BP = self.negatives.draw(every_B, count, derive(step.seed, "negatives", step.step))
        contrasted_BP = step.world.own(drawn_BP)
        loss_features = self.bank.contrast(student_BE, teacher_BE, contrasted_BP, self.options.temperature, step.world)
        self.bank.keep(every_B, *every_BE)
        loss_class = F.cross_entropy(seen.logits_BC, labels_B)
        terms = {
            "class": self.options.class_weight * loss_class, "features": self.options.feature_weight * loss_features
        }  # fmt: skip
        return outcome(terms, seen.logits_BC, {"loss_class": loss_class, "loss_features": loss_features})


def build(inputs: MethodInputs) -> Method:
    """CRD with the literature's weights. Raises ValueError without the labels of the training split."""
    teacher, _ = inputs.the_teacher()
    if inputs.training_labels is None:
        raise ValueError("method 'crd' needs the labels of the training split")
    if (inputs.training_labels == inputs.training_labels[0]).all():
        raise InvalidRequest("dataset", "CRD contrasts pictures of different classes, and the data set has only one.")
    with own_randomness(derive(inputs.seed, "crd")):
        method = Crd(inputs.student, teacher, deepest_taps(inputs), inputs.training_labels, CrdOptions())
    method.extras.to(inputs.device)
    return method
