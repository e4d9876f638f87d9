"""How well a network does its task on a split: one evaluator a task, all with the same result.

Another task is another `Evaluator` in `EVALUATORS` and another metric in `dpk_core.tasks`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dpk_core.data.batches import in_order
from dpk_core.data.split import ImageData, PictureSplit
from dpk_core.models.preprocessing import side_seen
from dpk_core.parallel.world import ALONE, World
from dpk_core.selection.chance import is_chance
from dpk_core.tasks import TaskName

BATCH = 500
"""Pictures at once; fewer where they are so large that a batch would hold more than `BATCH_PIXELS`."""

BATCH_PIXELS = BATCH * 64**2


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """`score`: in the task's metric; `loss`: the task's own, a mean over pictures; `evidence_N`: a number per picture
    whose mean is the score, in the split's order, from which two networks can be compared picture by picture (on the
    CPU; bool where a picture is right or wrong)."""

    score: float
    loss: float
    evidence_N: Tensor


class Evaluator(Protocol):
    """Judges networks of one task."""

    def evaluate(self, model: nn.Module, data: ImageData, split: PictureSplit, world: World = ALONE) -> Evaluation:
        """Judges `model` in evaluation mode and puts it back into the mode it was in.

        The ranks of a world share the batches, and each learns the result of all.
        """

    def guess(self, split: PictureSplit) -> float:
        """The score of the best answer that ignores the picture."""

    def is_chance(self, score: float, pictures: int, guess: float) -> bool:
        """Whether a score on so many pictures is within noise of guessing."""

    def step_scores(self, logits_BC: Tensor, labels_B: Tensor) -> dict[str, Tensor]:
        """What is measured of a training step's pictures beside the losses, by name, without a host synchronisation."""


class Classification:
    """Accuracy: the share of pictures whose class is named. The loss is cross-entropy in nats."""

    def evaluate(self, model: nn.Module, data: ImageData, split: PictureSplit, world: World = ALONE) -> Evaluation:
        """As the protocol says. Two host synchronisations."""
        return _accuracy(model, data, split, world)

    def guess(self, split: PictureSplit) -> float:
        """The share of the most frequent class."""
        return float(torch.bincount(split.labels.cpu()).max()) / len(split)

    def is_chance(self, score: float, pictures: int, guess: float) -> bool:
        """By a one-sided binomial test."""
        return is_chance(score, pictures, guess)

    def step_scores(self, logits_BC: Tensor, labels_B: Tensor) -> dict[str, Tensor]:
        """The accuracy in the step."""
        return {"train_accuracy": (logits_BC.argmax(1) == labels_B).double().mean()}


EVALUATORS: Mapping[TaskName, Evaluator] = {"classification": Classification()}


def _accuracy(model: nn.Module, data: ImageData, split: PictureSplit, world: World) -> Evaluation:
    mode = model.training
    batch_size = min(BATCH, max(1, BATCH_PIXELS // side_seen(model, data.card.side) ** 2))
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
    return Evaluation(score=int(right_N.sum()) / len(split), loss=loss.item() / len(split), evidence_N=right_N)
