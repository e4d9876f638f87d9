"""A training in memory: everything that changes while it runs, and how it is taken apart into a checkpoint and back."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dpk_core.data.batches import steps_per_epoch
from dpk_core.data.rows import own_rows
from dpk_core.data.source import ImageData
from dpk_core.distill.build import build_method
from dpk_core.distill.method import Method
from dpk_core.errors import ArtifactFault, InvalidRequest
from dpk_core.models.preprocessing import entrance, feed_as_trained
from dpk_core.parallel.world import ALONE, World
from dpk_core.preprocessing import ModelPreprocessing
from dpk_core.randomness import derive
from dpk_core.spec import TrainingSpec
from dpk_core.training.averages import Averages
from dpk_core.training.optimisers import Optimisers, make_optimisers
from dpk_core.training.precision import set_float32
from dpk_core.training.start import starting_model
from dpk_core.training.weight_average import WeightAverage


@dataclass(slots=True, kw_only=True)
class Training:
    """One training between two steps. `step` counts finished steps; `seconds` is training time from the start."""

    spec: TrainingSpec
    data: ImageData
    method: Method
    optimisers: Optimisers
    world: World = ALONE
    average: WeightAverage | None = None
    """The running average of the network's weights and buffers, where the recipe asks for one."""
    steps_per_epoch: int
    preprocessing: ModelPreprocessing | None = None
    """How pictures are prepared for a teacher's weights, where that is known or was measured."""
    notes: tuple[str, ...] = ()
    """What a reader of the result must know of the weights it started from, one sentence each."""
    step: int = 0
    seconds: float = 0.0
    averages: Averages = field(default_factory=Averages)
    last_measured: dict[str, float] = field(default_factory=dict)
    """Values at the end of the last whole epoch."""
    last_evidence: Tensor | None = None
    """What the network made of each validation picture then (N, on the CPU); see `Evaluation`."""
    fallbacks: dict[str, float] = field(default_factory=dict)
    """By stage, in how many epochs' worth of steps its share took its fallback value; kept by whoever observes."""

    @property
    def model(self) -> nn.Module:
        """The network being trained."""
        return self.method.student

    @property
    def judged(self) -> nn.Module:
        """The network that is evaluated and kept: the average of the weights where there is one."""
        return self.model if self.average is None else self.average.network

    @property
    def total_steps(self) -> int:
        """Steps of the whole training, also of the part after the present run."""
        return self.spec.recipe.epochs * self.steps_per_epoch

    @property
    def epoch(self) -> int:
        """Whole epochs finished."""
        return self.step // self.steps_per_epoch

    def state(self) -> dict[str, Any]:
        """Everything from which `restore` goes on bit for bit; tensors are those in use, not copies."""
        return {
            "training_key": self.spec.key(),
            "step": self.step,
            "seconds": self.seconds,
            "student": self.method.student.state_dict(),
            "extras": self.method.extras.state_dict(),
            "average": None if self.average is None else self.average.state(),
            "optimisers": self.optimisers.state(),
            "epoch_steps": dict(self.averages.steps),
            "epoch_sums": self.averages.sums,
            "last_measured": self.last_measured,
            "last_evidence": self.last_evidence,
            "fallbacks": dict(self.fallbacks),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Takes back what `state` gave. Raises ArtifactFault when it is the state of another training."""
        if state["training_key"] != self.spec.key():
            raise ArtifactFault("The checkpoint belongs to another training.")
        self.method.student.load_state_dict(state["student"])
        self.method.extras.load_state_dict(state["extras"])
        if self.average is not None:
            self.average.restore(state["average"])
        self.optimisers.restore(state["optimisers"])
        self.step, self.seconds = state["step"], state["seconds"]
        self.averages.steps = dict(state["epoch_steps"])
        self.averages.sums = {name: value.to(self.data.device) for name, value in state["epoch_sums"].items()}
        self.last_measured, self.last_evidence = state["last_measured"], state["last_evidence"]
        self.fallbacks = dict(state["fallbacks"])


def begin(
    spec: TrainingSpec,
    data: ImageData,
    teacher: nn.Module | None,
    *,
    weights_root: Path | None = None,
    world: World = ALONE,
) -> Training:
    """A training before its first step, on the device of `data`. The student's weights depend on the seed and on what
    it starts from alone.

    `world`: the ranks that share it, each of which begins it for itself. Raises InvalidRequest when there are fewer
    pictures than a batch needs or they cannot be shared evenly, and as `starting_model` does. A student that inherits
    begins with its teacher's neck and heads.
    """
    card = data.card
    if spec.task == "detection" and world.size > 1:
        raise InvalidRequest("task", "Detectors are trained on one device; give the worker one device a slot.")
    steps = steps_per_epoch(len(data.train), spec.recipe.batch_size)
    if spec.recipe.epochs:
        own_rows(spec.recipe, world)  # raises before anything is built; what is not trained has no batches
    started = starting_model(spec, card, weights_root)
    notes = started.notes
    if spec.method.inherits:
        from dpk_core.training.detectors import take_over

        assert teacher is not None
        notes = (*notes, take_over(started.model, teacher, card))
    student = started.model.to(data.device)
    if spec.preprocessing is not None:
        seen_by = entrance(student) if spec.task == "detection" else student
        feed_as_trained(seen_by, spec.preprocessing, data.mean, data.std)
    if spec.recipe.channels_last:
        # The teacher is lent and stays as it is: its convolutions follow the layout of the pictures.
        student.to(memory_format=torch.channels_last)
    average = None
    if spec.recipe.ema_decay is not None:
        average = WeightAverage(student, spec.recipe.ema_decay)
    method = _method(spec, data, student, teacher)
    if spec.trains == "head":
        student.eval()  # the body is to stay what it is, its running statistics too
    if spec.recipe.compiled != "no":
        if spec.recipe.compiled == "reduce-overhead" and world.size > 1:
            message = "CUDA graphs cannot hold what several devices exchange in a step; take 'default' or one device."
            raise InvalidRequest("recipe.compiled", message, "default")
        # What was compiled for trainings before counts towards a limit beyond which torch would quietly not compile.
        torch.compiler.reset()
        method.compile_networks(spec.recipe.compiled)
    return Training(
        spec=spec, data=data, method=method, steps_per_epoch=steps, average=average, world=world,
        optimisers=make_optimisers(method, spec.recipe, steps), notes=notes, preprocessing=spec.preprocessing,
    )  # fmt: skip


def _method(spec: TrainingSpec, data: ImageData, student: nn.Module, teacher: nn.Module | None) -> Method:
    """How the student is taught, around networks that lie on the device."""
    card, seed = data.card, derive(spec.seed, "method")
    teacher_name = None if spec.teacher is None else spec.teacher.model
    if spec.recipe.detection is not None:
        # Here, as torchvision takes longer to import than torch.
        from dpk_core.distill.detecting import build_detection_method

        return build_detection_method(
            spec.method, spec.recipe.detection, student=student, student_name=spec.model, teacher=teacher,
            teacher_name=teacher_name, seed=seed,
        )  # fmt: skip
    return build_method(
        spec.method, student=student, student_name=spec.model, teacher=teacher, teacher_name=teacher_name,
        picture_shape=(card.channels, *card.size), seed=seed, training_labels=data.train.labels,
    )  # fmt: skip


def make_current(device: torch.device) -> None:
    """Makes a GPU this process's current one: what is given no device, as an event or a stream, is then on it."""
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)


def make_deterministic(threads: int) -> None:
    """Makes this process compute the same numbers every time, given the same device and number of threads."""
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    set_float32("float32")
    torch.backends.cudnn.benchmark = False
    # Every result is written in full before it is read, so filling fresh memory would only cost time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # a property of the module
