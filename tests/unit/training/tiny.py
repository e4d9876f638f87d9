"""Trainings small enough for a test, on the real digits."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from dpk_core.catalogue.datasets import DIGITS
from dpk_core.data.source import ImageData, load_dataset
from dpk_core.data.split import Split
from dpk_core.models.build import build_model
from dpk_core.recipes import recipe
from dpk_core.spec import MethodName, MethodSpec, Recipe, TeacherReference, TrainingSpec
from dpk_core.training.evaluate import Evaluation
from dpk_core.training.training import Training, begin, make_deterministic

STUDENT, TEACHER = "cifar/resnet8w4", "cifar/resnet8w8"
METHODS: tuple[MethodName, ...] = ("none", "kd", "dpk")
PICTURES = 240
RECIPE = replace(recipe("digits", epochs=2), batch_size=32)
STEPS = PICTURES // RECIPE.batch_size
"""Steps of an epoch under RECIPE."""


@contextmanager
def deterministic() -> Iterator[None]:
    """One thread and deterministic operations for the block, as in the runner."""
    threads = torch.get_num_threads()
    make_deterministic(1)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)
        torch.utils.deterministic.fill_uninitialized_memory = True
        torch.set_num_threads(threads)


@functools.cache
def digits() -> ImageData:
    """The digits on the CPU."""
    return load_dataset(DIGITS, None, torch.device("cpu"))


@functools.cache
def few_digits() -> ImageData:
    """As many of them as an epoch of RECIPE takes, and some that are left over."""
    whole = digits()
    assert isinstance(whole.train, Split)
    assert isinstance(whole.validation, Split)
    train = Split(whole.train.pictures[:PICTURES], whole.train.labels[:PICTURES])
    validation = Split(whole.validation.pictures[:200], whole.validation.labels[:200])
    return replace(whole, train=train, validation=validation)


@functools.cache
def teacher(model: str = TEACHER) -> nn.Module:
    """An untrained teacher: enough to test with."""
    return build_model(model, classes=10, channels=1, seed=1).eval().requires_grad_(False)


def spec(
    method: MethodName = "none",
    *,
    seed: int = 0,
    model: str = STUDENT,
    teacher_model: str = TEACHER,
    recipe: Recipe = RECIPE,
) -> TrainingSpec:
    """The student's training under a method."""
    reference = None if method == "none" else TeacherReference(model=teacher_model, training_key="untrained")
    return TrainingSpec(
        role="student", model=model, dataset="digits", data_fingerprint=DIGITS.fingerprint,
        method=MethodSpec(name=method), teacher=reference, recipe=recipe, seed=seed,
    )  # fmt: skip


def start(training_spec: TrainingSpec, data: ImageData | None = None) -> Training:
    """The training before its first step, by default on few pictures."""
    reference = training_spec.teacher
    return begin(training_spec, data or few_digits(), None if reference is None else teacher(reference.model))


@dataclass
class Watcher:
    """An observer that remembers the measurements and stops before step `stop_at`."""

    stop_at: int | None = None
    steps: int = 0
    epochs: list[dict[str, float]] = field(default_factory=list)
    judgements: list[Evaluation] = field(default_factory=list)

    def wants_stop(self) -> bool:
        return self.steps == self.stop_at

    def stepped(self, training: Training) -> None:
        self.steps = training.step

    def measured(
        self,
        training: Training,  # noqa: ARG002  (an observer's signature)
        values: dict[str, float],
        validation: Evaluation,
    ) -> None:
        self.epochs.append(values)
        self.judgements.append(validation)


def flat(state: Any, name: str = "") -> dict[str, Any]:
    """A nested state as one level of names, without the time, which differs from run to run."""
    if isinstance(state, dict):
        items: Any = state.items()
    elif isinstance(state, list | tuple):
        items = enumerate(state)
    else:
        return {} if name == "/seconds" else {name: state}
    return {inner: value for key, item in items for inner, value in flat(item, f"{name}/{key}").items()}


def assert_equal_states(one: Training, other: Training) -> None:
    """Every tensor and number of two trainings is the same, bit for bit."""
    first, second = flat(one.state()), flat(other.state())
    assert first.keys() == second.keys()
    for name, value in first.items():
        same = torch.equal(value, second[name]) if isinstance(value, Tensor) else value == second[name]
        assert same, name
