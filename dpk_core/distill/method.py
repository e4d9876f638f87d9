"""The one small interface that every distillation method implements; the training loop knows nothing else."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor, nn

from dpk_core.errors import InvalidRequest
from dpk_core.parallel.world import ALONE, World

Compiler = Callable[[Callable[..., Any]], Callable[..., Any]]
"""`torch.compile` with its choices made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepContext:
    """Where in a training a step stands. Chance in a step is drawn from `seed` and `step` alone, so a resumed run
    needs no generator state. `step` counts from 0 over the whole training, which has `total_steps`; `positions_B` are
    the pictures' places in the training split. A method that needs one of these and gets None raises ValueError.

    In a `world` of several ranks a method sees its rank's pictures. What is a mean over pictures is taken over those;
    what is drawn for a batch or relates its pictures to each other is drawn for or taken over those of all ranks.
    """

    seed: int
    step: int
    total_steps: int | None = None
    positions_B: Tensor | None = None
    world: World = ALONE

    @property
    def fraction(self) -> float:
        """How much of the training is over: 0 in the first step, 1 in the last."""
        if self.total_steps is None:
            raise ValueError("a schedule needs to know how many steps the training has")
        return self.step / max(self.total_steps - 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOutcome:
    """What a step gives. `terms`: the weighted terms of the loss by name, e.g. `class`, attached to the graph; `loss`:
    their sum, the scalar to minimise; `logits_BC`: the student's, detached; None of a detector.

    `parts`: named, detached, finite 0-dim tensors on the device of the loss, e.g. `loss_class` and `share.last`.
    """

    terms: dict[str, Tensor]
    loss: Tensor
    logits_BC: Tensor | None
    parts: dict[str, Tensor]


class Method(nn.Module, ABC):
    """A student and how it is taught.

    `student` and `extras` (modules that train beside the student and are dropped afterwards) are what a checkpoint
    holds. The teacher, if any, never trains: it stays in evaluation mode and none of its parameters takes a gradient.
    """

    name: ClassVar[str]
    needs_teacher: ClassVar[bool]

    def __init__(self, student: nn.Module, teacher: nn.Module | None = None) -> None:
        super().__init__()
        if self.needs_teacher != (teacher is not None):
            raise ValueError(f"method {self.name!r} {'needs a' if self.needs_teacher else 'takes no'} teacher")
        self.student = student
        self.teacher = teacher if teacher is None else teacher.requires_grad_(False)
        self.extras = nn.ModuleDict()
        self._run_teacher: Callable[..., Any] | None = None
        """The compiled teacher."""
        self.train()

    @abstractmethod
    def forward(self, pictures_BCHW: Tensor, labels_B: Any, step: StepContext) -> StepOutcome:
        """One training step up to its loss: runs student and teacher; the caller goes backward.

        `labels_B`: class numbers, or, where the recipe softens or mixes labels, each class's share, B x C and floating;
        cross-entropy takes both, and `class_numbers` gives the first from either. Detectors get `BoxTargets`.
        """

    def train(self, mode: bool = True) -> Self:
        """Sets student and extras to training or evaluation mode; the teacher stays in evaluation mode."""
        super().train(mode)
        if self.teacher is not None:
            self.teacher.eval()
        return self

    def distillation_parameters(self) -> Iterator[nn.Parameter]:
        """The trainable parameters beside the student's."""
        return self.extras.parameters()

    def compile_networks(self, mode: Literal["default", "reduce-overhead"]) -> None:
        """From now on steps run student and teacher through torch's compiler, which fuses operations and so rounds
        differently. `reduce-overhead` also replays them as CUDA graphs.

        The student is judged, and the teacher lent to others, without.
        """
        if mode == "reduce-overhead":
            # Each step may overwrite what the graphs gave in the step before.
            self.register_forward_pre_hook(lambda *_: torch.compiler.cudagraph_mark_step_begin())  # type: ignore[no-untyped-call]  # torch leaves it untyped
        self._compile(functools.partial(torch.compile, dynamic=False, mode=mode))

    def _compile(self, compiler: Compiler) -> None:
        """Compiles what a step runs of student and teacher."""
        eager = self.student.forward
        compiled = compiler(eager)

        def forward(pictures_BCHW: Tensor) -> Tensor:
            logits_BC: Tensor = (compiled if torch.is_grad_enabled() else eager)(pictures_BCHW)
            return logits_BC

        self.student.forward = forward
        if self.teacher is not None:
            teacher = self.teacher
            # Called, not its `forward` alone, so that the hooks that prepare its pictures run.
            self._run_teacher = compiler(lambda pictures_BCHW: teacher(pictures_BCHW))

    def ask_teacher(self, pictures_BCHW: Tensor) -> Tensor:
        """The teacher's logits, without gradient."""
        assert self.teacher is not None
        with torch.no_grad(), unchanged(pictures_BCHW):
            logits_BC: Tensor = (self._run_teacher or self.teacher)(pictures_BCHW)
        return logits_BC


@contextmanager
def unchanged(pictures_BCHW: Tensor) -> Iterator[None]:
    """Raises InvalidRequest on `teacher` where the batch, which is the student's too, is changed inside."""
    version = pictures_BCHW._version
    yield
    if pictures_BCHW._version != version:
        raise InvalidRequest(
            "teacher", "The teacher changes the pictures that it is given in place, and the student would learn from "
            "what it leaves; let its forward compute new ones.",
        )  # fmt: skip


def class_numbers(labels_B: Tensor) -> Tensor:
    """Each picture's main class, from class numbers (B) or from shares of classes (B x C)."""
    return labels_B if labels_B.ndim == 1 else labels_B.argmax(1)


def outcome(terms: dict[str, Tensor], logits_BC: Tensor | None, parts: dict[str, Tensor]) -> StepOutcome:
    """A step outcome from weighted terms, with logits and parts detached from the graph."""
    loss, *others = terms.values()
    for term in others:
        loss = loss + term
    return StepOutcome(
        terms=terms, loss=loss, logits_BC=None if logits_BC is None else logits_BC.detach(),
        parts={name: part.detach() for name, part in parts.items()},
    )  # fmt: skip
