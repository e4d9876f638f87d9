"""The one training loop, the same for every method, teacher and data set.

All chance in a step is derived from (seed, purpose, step), never from what happened before, so a training resumed at
any step goes on as if it had never stopped, and two students with the same seed see the same pictures in the same
order whatever their teachers (common random numbers).

Where several ranks share a training, each goes through this loop with its part of every batch. What they compute
together is the same for all of them: gradients, what is measured, whether to stop.

A step is one update of the weights. Where the recipe accumulates gradients it has several parts, each a step of its own
to the method.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from dpk_core.data.batches import TrainingBatches
from dpk_core.data.boxes import Targets, split_targets
from dpk_core.distill.method import StepContext
from dpk_core.distill.precision import tf32
from dpk_core.errors import TrainingDiverged
from dpk_core.parallel.batch_norm import shared_batch_norm
from dpk_core.randomness import derive
from dpk_core.tasks import METRICS
from dpk_core.training.evaluate import EVALUATORS, Evaluation
from dpk_core.training.gradients import EVERY, gradient_norms
from dpk_core.training.precision import autocast
from dpk_core.training.targets import make_targets
from dpk_core.training.training import Training

CHECK_STEPS = 50
"""Steps between two looks at whether the loss is still finite; each costs one host synchronisation."""


class Observer(Protocol):
    """What the loop reports to its caller."""

    def wants_stop(self) -> bool:
        """Asked before every step; True ends the loop there."""

    def stepped(self, training: Training) -> None:
        """A step is done and, if it was the last of its epoch, measured."""

    def measured(self, training: Training, values: dict[str, float], validation: Evaluation) -> None:
        """An epoch is over; `values` as in the protocol's `Measured`, two of them from `validation`."""


class Unobserved:
    """The observer of a training that nobody follows: it never stops one."""

    def wants_stop(self) -> bool:
        """Never."""
        return False

    def stepped(self, training: Training) -> None:
        """Keeps nothing."""

    def measured(self, training: Training, values: dict[str, float], validation: Evaluation) -> None:
        """Keeps nothing."""


def train(training: Training, stop_epoch: int, observer: Observer) -> bool:
    """Carries `training` up to the end of epoch `stop_epoch` (1-based). Returns False when the observer stopped it.

    At `stop_epoch` 0 the network is only measured. Raises TrainingDiverged when the loss is no longer finite.
    The global random state is left as it was.
    """
    devices = [training.data.device] if training.data.device.type == "cuda" else []
    stop_step = stop_epoch * training.steps_per_epoch
    if stop_step == 0:
        _measure_untrained(training, observer)
        return True
    batches = TrainingBatches(training.data, training.spec.recipe, training.spec.seed, stop_step, training.world)
    with torch.random.fork_rng(devices=devices):
        while training.step < stop_step:
            if training.world.any_of(observer.wants_stop()):
                return False
            began = device_seconds(training.data.device)
            pictures_BCHW, labels_B = batches.at(training.step)
            with tf32(training.spec.recipe.precision == "tf32"):
                _step(training, pictures_BCHW, labels_B, batches.positions(training.step))
            validation = _measure(training)
            training.seconds += device_seconds(training.data.device) - began
            if validation is not None:
                observer.measured(training, training.last_measured, validation)
            observer.stepped(training)
    return True


def device_seconds(device: torch.device) -> float:
    """A clock of the device's time: on a CPU what this process computed, per thread, so that a machine busy with other
    work charges nothing for it; a GPU is held by its run alone, and its clock is the wall's."""
    return time.process_time() / torch.get_num_threads() if device.type == "cpu" else time.monotonic()


def _measure_untrained(training: Training, observer: Observer) -> None:
    began = device_seconds(training.data.device)
    validation = _judge(training)
    training.seconds += device_seconds(training.data.device) - began
    observer.measured(training, training.last_measured, validation)


def _step(training: Training, pictures_BCHW: Tensor, labels_B: Targets, positions_B: Tensor) -> None:
    recipe, seed, step = training.spec.recipe, training.spec.seed, training.step
    pictures_BCHW, targets_B = make_targets(
        recipe, pictures_BCHW, labels_B, training.data.card.classes, seed, step, training.world
    )
    labels_B, positions_B = labels_B[: len(targets_B)], positions_B[: len(targets_B)]  # without mixed-in partners
    if recipe.channels_last:
        pictures_BCHW = pictures_BCHW.contiguous(memory_format=torch.channels_last)
    training.optimisers.prepare(step)
    sections = recipe.accumulation
    split = zip(
        pictures_BCHW.tensor_split(sections), split_targets(targets_B, sections), split_targets(labels_B, sections),
        positions_B.tensor_split(sections), strict=True,
    )  # fmt: skip
    parts = [_part(training, number, *inputs) for number, inputs in enumerate(split)]
    training.world.average_gradients(training.optimisers.parameters)
    training.optimisers.update()
    if training.average is not None:
        training.average.update(training.model)
    training.averages.add(training.world.means(_together(parts)) | parts[0].gradient_norms)
    training.step += 1
    if training.step == 1 or training.step % CHECK_STEPS == 0:
        training.averages.check(training.step)


@dataclass(frozen=True, slots=True)
class _Part:
    """What one part of an update measured, and which share of the update's pictures it had."""

    share: float
    values: dict[str, Tensor]
    gradient_norms: dict[str, Tensor]
    """Of the update's first part alone, and not in every step."""


def _part(
    training: Training, number: int, pictures_BCHW: Tensor, targets_B: Targets, labels_B: Targets, positions_B: Tensor
) -> _Part:
    """Adds the gradients of one part. To the method each part is a step, with chance of its own."""
    recipe, seed = training.spec.recipe, training.spec.seed
    step = training.step * recipe.accumulation + number
    world = training.world
    share = len(labels_B) * world.size / recipe.batch_size
    # For networks with dropout, which draw from the global generator, and so from one of its own in each rank.
    torch.manual_seed(derive(seed, "dropout", step, *([world.rank] if world.rank else [])))
    total_steps = training.total_steps * recipe.accumulation
    context = StepContext(seed=seed, step=step, total_steps=total_steps, positions_B=positions_B, world=world)
    with autocast(pictures_BCHW.device, recipe.precision), shared_batch_norm(world):
        outcome = training.method(pictures_BCHW, targets_B, context)
    norms = {}
    # What torch compiled goes backward once only, so there nothing is measured.
    if number == 0 and training.step % training.steps_per_epoch % EVERY == 0 and recipe.compiled == "no":
        optimisers = training.optimisers
        norms = gradient_norms(outcome.terms, optimisers.student_parameters, world, optimisers.scaler)
    training.optimisers.add_gradients(outcome.loss * share)
    scores = EVALUATORS[training.spec.task].step_scores(outcome, labels_B)
    return _Part(share, {"train_loss": outcome.loss.detach(), **scores, **outcome.parts}, norms)


def _together(parts: list[_Part]) -> dict[str, Tensor]:
    """Means over the pictures of all parts."""
    first, *others = parts
    if not others:
        return first.values
    return {name: torch.stack([part.values[name] * part.share for part in parts]).sum() for name in first.values}


def _measure(training: Training) -> Evaluation | None:
    """Keeps the epoch's values when the last step ended it, and gives the judgement on the validation split."""
    if training.step % training.steps_per_epoch:
        return None
    training.averages.check(training.step)
    validation = _judge(training)
    training.averages.reset()
    return validation


def _judge(training: Training) -> Evaluation:
    """The network on the validation split; what is measured is kept beside the means of the epoch's steps, if any."""
    evaluator = EVALUATORS[training.spec.task]
    validation = evaluator.evaluate(training.judged, training.data, training.data.validation, training.world)
    loss = {} if validation.loss is None else {"validation_loss": validation.loss}
    if not all(map(math.isfinite, loss.values())):
        when = f"after epoch {training.epoch}" if training.step else "before any training"
        message = f"The class scores of {training.spec.model} on the validation pictures are not finite numbers {when}"
        raise TrainingDiverged(f"{message}; its weights are too large or broken.")
    training.last_evidence = validation.evidence_N
    training.last_measured = {
        **training.averages.means(),
        METRICS[training.spec.task].measured_as: validation.score,
        **{f"validation_{name}": value for name, value in validation.details.items()},
        **loss,
    }
    return validation
