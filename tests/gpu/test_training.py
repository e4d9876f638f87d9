"""Trainings on a device: the same bits twice, and a failure with a name where its memory does not do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from dpk_core.catalogue.datasets import DIGITS
from dpk_core.data.source import load_dataset
from dpk_core.distill.build import METHODS
from dpk_core.models.build import build_model
from dpk_core.runner.failures import classify
from dpk_core.spec import MethodName, MethodSpec, Recipe
from dpk_core.training.loop import train
from dpk_core.training.training import Training, begin
from tests.unit.training.tiny import RECIPE, TEACHER, Watcher, assert_equal_states, deterministic, spec

pytestmark = pytest.mark.gpu


@pytest.fixture(autouse=True)
def deterministic_process() -> Iterator[None]:
    with deterministic():
        yield


def trained(name: MethodName, recipe: Recipe, device: torch.device) -> Training:
    """After one epoch."""
    training_spec = replace(spec("none" if name == "none" else "kd", recipe=recipe), method=MethodSpec(name=name))
    teacher = None
    if name != "none":
        teacher = build_model(TEACHER, classes=10, channels=1, seed=1).eval().requires_grad_(False).to(device)
    training = begin(training_spec, load_dataset(DIGITS, None, device), teacher)
    assert train(training, 1, Watcher())
    return training


@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_training_gives_the_same_bits_twice(name: MethodName, device: torch.device) -> None:
    assert_equal_states(trained(name, RECIPE, device), trained(name, RECIPE, device))


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_mixed_precision_too(precision: str, device: torch.device) -> None:
    recipe = replace(RECIPE, precision=precision)
    assert_equal_states(trained("dpk", recipe, device), trained("dpk", recipe, device))


def test_too_little_memory_is_a_failure_with_a_name(device: torch.device) -> None:
    with pytest.raises(torch.OutOfMemoryError) as caught:
        torch.empty(2**46, dtype=torch.uint8, device=device)
    assert classify(caught.value)[0] == "out_of_memory"
