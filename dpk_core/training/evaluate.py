"""How well a network does its task on a split: one evaluator a task, all with the same result.

Another task is another `Evaluator` in `EVALUATORS` and another metric in `dpk_core.tasks`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dpk_core.chance import is_chance
from dpk_core.data.batches import in_order
from dpk_core.data.boxes import Targets
from dpk_core.data.split import ImageData, PictureSplit
from dpk_core.distill.method import StepOutcome
from dpk_core.evidence import sampling_variance
from dpk_core.models.evaluating import evaluating
from dpk_core.models.preprocessing import side_seen
from dpk_core.parallel.world import ALONE, World
from dpk_core.tasks import TaskName

BATCH = 500
FULL_SIDE = 64
"""A batch of larger pictures has fewer of them."""

ONE_SIDED = 1.645
"""Standard errors of a one-sided test at 95 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """`score`: in the task's metric; `loss`: the task's own, a mean over pictures, None where it would take a pass of
    its own; `evidence_N`: a number per picture whose mean is the score, in the split's order, from which two networks
    can be compared picture by picture (on the CPU; bool where a picture is right or wrong). `details`: what else is
    measured, by name."""

    score: float
    loss: float | None
    evidence_N: Tensor
    details: Mapping[str, float] = field(default_factory=dict)


class Evaluator(Protocol):
    """Judges networks of one task."""

    def evaluate(
        self, model: nn.Module, data: ImageData, split: PictureSplit, world: World = ALONE, *, reported: bool = False
    ) -> Evaluation:
        """Judges `model` in evaluation mode and puts it back into the mode it was in.

        The ranks of a world share the batches, and each learns the result of all. `reported`: the score is a final one,
        computed by the literature's own implementation where there is one.
        """

    def guess(self, split: PictureSplit) -> float:
        """The score of the best answer that ignores the picture."""

    def is_chance(self, score: float, evidence_N: Tensor, guess: float) -> bool:
        """Whether a score is within noise of guessing."""

    def step_scores(self, outcome: StepOutcome, targets: Targets) -> dict[str, Tensor]:
        """What is measured of a training step's pictures beside the losses, by name, without a host synchronisation."""


class Classification:
    """Accuracy: the share of pictures whose class is named. The loss is cross-entropy in nats."""

    def evaluate(
        self,
        model: nn.Module,
        data: ImageData,
        split: PictureSplit,
        world: World = ALONE,
        *,
        reported: bool = False,  # noqa: ARG002 - there is one implementation
    ) -> Evaluation:
        """As the protocol says. Two host synchronisations."""
        return _accuracy(model, data, split, world)

    def guess(self, split: PictureSplit) -> float:
        """The share of the most frequent class."""
        return float(torch.bincount(split.labels.cpu()).max()) / len(split)

    def is_chance(self, score: float, evidence_N: Tensor, guess: float) -> bool:
        """By a one-sided binomial test."""
        return is_chance(score, len(evidence_N), guess)

    def step_scores(self, outcome: StepOutcome, targets: Targets) -> dict[str, Tensor]:
        """The accuracy in the step."""
        assert outcome.logits_BC is not None
        assert isinstance(targets, Tensor)
        return {"train_accuracy": (outcome.logits_BC.argmax(1) == targets).double().mean()}


class Detection:
    """Average precision of the boxes that are found. There is no loss: a detector gives losses or detections."""

    def evaluate(
        self, model: nn.Module, data: ImageData, split: PictureSplit, world: World = ALONE, *, reported: bool = False
    ) -> Evaluation:
        """As the protocol says, on one device. Details: AP at overlaps .50 and .75 and by size."""
        # Here, as torchvision takes longer to import than torch.
        from dpk_core.training.evaluate_detection import judged

        assert world.size == 1
        return judged(model, data, split, reported=reported)

    def guess(self, split: PictureSplit) -> float:  # noqa: ARG002 - whatever the boxes are
        """Boxes that ignore the picture find next to nothing."""
        return 0.0

    def is_chance(self, score: float, evidence_N: Tensor, guess: float) -> bool:
        """Whether the score lies within its one-sided confidence interval above guessing."""
        return score <= guess + ONE_SIDED * math.sqrt(sampling_variance(evidence_N.numpy()))

    def step_scores(self, outcome: StepOutcome, targets: Targets) -> dict[str, Tensor]:  # noqa: ARG002 - a step finds nothing
        """None."""
        return {}


EVALUATORS: Mapping[TaskName, Evaluator] = {"classification": Classification(), "detection": Detection()}


def pictures_at_once(pixels: int, most: int = BATCH) -> int:
    """Pictures of so many pixels that are judged in one batch: as many pixels together as `most` of `FULL_SIDE`."""
    return min(most, max(1, most * FULL_SIDE**2 // pixels))


def _accuracy(model: nn.Module, data: ImageData, split: PictureSplit, world: World) -> Evaluation:
    batch_size = pictures_at_once(side_seen(model, data.card.side) ** 2)
    right_N = torch.zeros(len(split), dtype=torch.uint8, device=data.device)
    loss = torch.zeros((), dtype=torch.float64, device=data.device)
    with evaluating(model), torch.no_grad():
        for number, (pictures_BCHW, labels_B) in enumerate(in_order(split, batch_size, world)):
            logits_BC = model(data.normalise(pictures_BCHW))
            first = (number * world.size + world.rank) * batch_size
            right_N[first : first + len(labels_B)] = logits_BC.argmax(1) == labels_B
            loss += F.cross_entropy(logits_BC, labels_B, reduction="sum")
    right_N = world.total(right_N).bool().cpu()
    loss = world.total(loss)
    return Evaluation(score=int(right_N.sum()) / len(split), loss=loss.item() / len(split), evidence_N=right_N)
