"""Accuracy and loss of a network on a split."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dpk_core.data.batches import in_order
from dpk_core.data.split import ImageData, PictureSplit
from dpk_core.parallel.world import ALONE, World

BATCH = 500
"""Pictures at once; fewer where they are so large that a batch would hold more than `BATCH_PIXELS`."""

BATCH_PIXELS = BATCH * 64**2


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """`accuracy`: fraction of pictures told right; `loss`: mean cross-entropy in nats; `right`: each picture's verdict
    in the split's order (N, bool, on the CPU), from which two networks can be compared picture by picture."""

    accuracy: float
    loss: float
    right: Tensor


def evaluate(model: nn.Module, data: ImageData, split: PictureSplit, world: World = ALONE) -> Evaluation:
    """Judges `model` in evaluation mode and puts it back into the mode it was in. Two host synchronisations.

    The ranks of a world share the batches, and each learns the result of all.
    """
    mode = model.training
    batch_size = min(BATCH, max(1, BATCH_PIXELS // data.card.side**2))
    model.eval()
    right_N = torch.zeros(len(split), dtype=torch.uint8, device=data.device)
    loss = torch.zeros((), dtype=torch.float64, device=data.device)
    try:
        with torch.no_grad():
            for number, (pictures_BCHW, labels_B) in enumerate(in_order(split, batch_size, world)):
                logits_BC = model(data.normalise(pictures_BCHW))
                first = (number * world.size + world.rank) * batch_size
                right_N[first : first + len(labels_B)] = logits_BC.argmax(1) == labels_B
                loss += F.cross_entropy(logits_BC, labels_B, reduction="sum")
    finally:
        model.train(mode)
    right_N = world.total(right_N).bool().cpu()
    loss = world.total(loss)
    return Evaluation(accuracy=int(right_N.sum()) / len(split), loss=loss.item() / len(split), right=right_N)
