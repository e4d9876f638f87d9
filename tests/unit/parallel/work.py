"""What the tests of this folder have a world's ranks do; with `ALONE` this process does the same by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dpk_core.data.source import ImageData
from dpk_core.data.split import split_of_arrays
from dpk_core.parallel.batch_norm import shared_batch_norm
from dpk_core.parallel.world import World
from dpk_core.protocol import Checkpoint
from dpk_core.spec import TrainingSpec
from dpk_core.training.checkpoint import CheckpointWriter, resume
from dpk_core.training.evaluate import EVALUATORS, Evaluation
from dpk_core.training.loop import train
from dpk_core.training.training import Training, begin
from tests.unit.training.tiny import Watcher, digits, few_digits, flat, teacher

Curve = list[dict[str, float]]


def begun(world: World, spec: TrainingSpec, data: ImageData | None = None) -> Training:
    """The training before its first step."""
    reference = spec.teacher
    return begin(spec, data or few_digits(), None if reference is None else teacher(reference.model), world=world)


def curve(world: World, spec: TrainingSpec) -> Curve:
    """Everything measured in an epoch."""
    watcher = Watcher()
    train(begun(world, spec), 1, watcher)
    return watcher.epochs


def first_gradient(world: World, spec: TrainingSpec) -> Tensor:
    """What the first update goes by, of the parameters that have any."""
    return gradients(world, spec, 1)[0][0]


def gradients(world: World, spec: TrainingSpec, steps: int) -> tuple[list[Tensor], Tensor]:
    """What each of the first updates goes by, and the student's running statistics after them."""
    training, seen = begun(world, spec, digits()), list[Tensor]()

    def keep(*_: Any) -> None:
        found = [parameter.grad for parameter in training.optimisers.parameters]
        seen.append(torch.cat([gradient.flatten().clone() for gradient in found if gradient is not None]))

    training.optimisers.student.register_step_pre_hook(keep)
    train(training, 1, Watcher(stop_at=steps))
    return seen, torch.cat([buffer.flatten().double() for buffer in training.model.buffers()])


def stopped(world: World, spec: TrainingSpec, stop_at: int, root: Path) -> Checkpoint | None:
    """The checkpoint that the leading rank leaves; the second rank alone has the wish to stop."""
    training = begun(world, spec)
    train(training, 2, Watcher(stop_at=stop_at if world.rank == world.size - 1 else None))
    assert training.step == stop_at
    return CheckpointWriter(root, "runs/a").write(training) if world.leads else None


def finished(world: World, spec: TrainingSpec, checkpoint: Checkpoint | None, root: Path) -> dict[str, Any]:
    """The state after two epochs, from the beginning or from a checkpoint."""
    training = begun(world, spec)
    if checkpoint is not None:
        resume(training, root, checkpoint)
    assert train(training, 2, Watcher())
    return flat(training.state())


def untrained(world: World, spec: TrainingSpec, weights_root: Path) -> Curve:
    """What is measured where nothing is trained."""
    watcher = Watcher()
    assert train(begin(spec, few_digits(), None, weights_root=weights_root, world=world), 0, watcher)
    return watcher.epochs


def judged(world: World, spec: TrainingSpec, pictures: int) -> Evaluation:
    """An untrained student's evaluation on that many pictures: batches of 500, shared by the ranks."""
    split = split_of_arrays(
        digits().train.pictures[:pictures, 0].numpy(), digits().train.labels[:pictures].numpy(),
        torch.device("cpu"),
    )  # fmt: skip
    return EVALUATORS["classification"].evaluate(begun(world, spec).model, digits(), split, world)


def normalised(world: World, norm: nn.Module, whole_BCHW: Tensor, asked_BCHW: Tensor) -> dict[str, Tensor]:
    """One forward and backward of a batch norm on this rank's pictures: output, gradients, running statistics."""
    own_BCHW = world.own(whole_BCHW).clone().requires_grad_()
    with shared_batch_norm(world):
        result_BCHW = norm(own_BCHW)
    (result_BCHW * world.own(asked_BCHW)).sum().backward()
    weight_gradients = [parameter.grad for parameter in norm.parameters()]
    assert own_BCHW.grad is not None
    return {
        "result": result_BCHW.detach(),
        "gradient": own_BCHW.grad,
        "weights": torch.cat([gradient.flatten() for gradient in weight_gradients if gradient is not None]),
        "running": torch.cat([torch.zeros(1), *(buffer.double().flatten() for buffer in norm.buffers())]),
    }


def gathered(world: World, whole_B: Tensor, weights_RB: Tensor) -> tuple[Tensor, Tensor]:
    """Gathers this rank's rows; asks of them, by its own weights, another thing than the other ranks."""
    own_B = world.own(whole_B).clone().requires_grad_()
    all_B = world.gathered(own_B)
    (all_B * weights_RB[world.rank]).sum().backward()
    assert own_B.grad is not None
    return all_B.detach(), own_B.grad
