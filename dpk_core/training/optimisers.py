"""The two optimisers of a training: the recipe's for the network, AdamW for the modules that train beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from dpk_core.distill.method import Method
from dpk_core.spec import Recipe
from dpk_core.training.schedule import module_rate, student_rate

MODULE_BETAS = (0.9, 0.95)
MODULE_WEIGHT_DECAY = 1e-4
"""Both as in the authors' CIFAR-100 recipe for DPK's modules."""


@dataclass(frozen=True, slots=True)
class Optimisers:
    """Steps both optimisers together. `modules` is None for a method that trains nothing beside the student.

    `scaler` keeps the small gradients of float16 from vanishing and leaves an update out where one overflowed; it does
    nothing in other precisions.
    """

    recipe: Recipe
    steps_per_epoch: int
    parameters: tuple[nn.Parameter, ...]
    student: torch.optim.SGD | torch.optim.AdamW
    modules: torch.optim.AdamW | None
    scaler: torch.amp.GradScaler

    @property
    def student_parameters(self) -> list[nn.Parameter]:
        """Those of the network being trained."""
        return _parameters(self.student)

    def prepare(self, step: int) -> None:
        """Forgets the gradients and sets the rates of `step`."""
        self.student.zero_grad(set_to_none=True)
        _set_rate(self.student, student_rate(self.recipe, step, self.steps_per_epoch))
        if self.modules is not None:
            self.modules.zero_grad(set_to_none=True)
            _set_rate(self.modules, module_rate(self.recipe, step, self.steps_per_epoch))

    def add_gradients(self, loss: torch.Tensor) -> None:
        """Goes backward from `loss`; gradients add up until the next `prepare`."""
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]  # torch leaves it without annotations

    def update(self) -> None:
        """Changes the weights by the gradients."""
        optimisers = [self.student] if self.modules is None else [self.student, self.modules]
        if self.recipe.clip_norm is not None:
            for optimiser in optimisers:
                self.scaler.unscale_(optimiser)
                # Apart: clipped together, the modules' larger gradient would shrink the student's steps.
                nn.utils.clip_grad_norm_(_parameters(optimiser), self.recipe.clip_norm)
        for optimiser in optimisers:
            self.scaler.step(optimiser)
        self.scaler.update()

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds of the optimisers."""
        return {
            "student": self.student.state_dict(),
            "modules": None if self.modules is None else self.modules.state_dict(),
            "scaler": self.scaler.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Takes back what `state` gave."""
        self.student.load_state_dict(state["student"])
        if self.modules is not None:
            self.modules.load_state_dict(state["modules"])
        if self.scaler.is_enabled():
            self.scaler.load_state_dict(state["scaler"])


def make_optimisers(method: Method, recipe: Recipe, steps_per_epoch: int) -> Optimisers:
    """Optimisers over the method's student and, where it has them, its distillation modules."""
    student = tuple(method.student.parameters())
    extras = tuple(method.distillation_parameters())
    adamw = None
    if extras:
        rate = recipe.module_learning_rate
        adamw = _adamw(extras, rate=rate, weight_decay=MODULE_WEIGHT_DECAY, betas=MODULE_BETAS)
    scaler = torch.amp.GradScaler(student[0].device.type, enabled=recipe.precision == "float16")
    return Optimisers(recipe, steps_per_epoch, student + extras, _student_optimiser(student, recipe), adamw, scaler)


def _student_optimiser(parameters: tuple[nn.Parameter, ...], recipe: Recipe) -> torch.optim.SGD | torch.optim.AdamW:
    if recipe.optimiser == "adamw":
        return _adamw(parameters, rate=recipe.learning_rate, weight_decay=recipe.weight_decay, betas=(0.9, 0.999))
    return torch.optim.SGD(
        parameters, lr=recipe.learning_rate, momentum=recipe.momentum, nesterov=recipe.nesterov and recipe.momentum > 0,
        weight_decay=recipe.weight_decay,
    )  # fmt: skip


def _adamw(
    parameters: tuple[nn.Parameter, ...], *, rate: float, weight_decay: float, betas: tuple[float, float]
) -> torch.optim.AdamW:
    """AdamW that decays matrices and kernels, and leaves out vectors: biases and the scales of norms."""
    groups = [
        {"params": [each for each in parameters if each.ndim > 1], "weight_decay": weight_decay},
        {"params": [each for each in parameters if each.ndim <= 1], "weight_decay": 0.0},
    ]
    # fused: a hundred small tensors cost more in calls than in arithmetic
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=rate, betas=betas, fused=True)


def _parameters(optimiser: torch.optim.Optimizer) -> list[nn.Parameter]:
    return [parameter for group in optimiser.param_groups for parameter in group["params"]]


def _set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate
