"""A student that trains through torch's compiler learns what one that does not learns, to rounding."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from dpk_core.spec import MethodName
from dpk_core.training.checkpoint import CheckpointWriter, resume
from dpk_core.training.loop import train
from dpk_core.training.training import Training
from tests.unit.training.tiny import RECIPE, Watcher, assert_equal_states, spec, start

pytestmark = pytest.mark.skipif(
    shutil.which("c++") is None and shutil.which("g++") is None, reason="torch's compiler needs a C++ compiler"
)

GENTLE = replace(RECIPE, learning_rate=0.002)


@pytest.fixture(autouse=True)
def forgotten_afterwards() -> Iterator[None]:
    """Nothing that was compiled outlives its test."""
    yield
    torch.compiler.reset()


def trained(method: MethodName, *, compiled: bool, steps: int = 2) -> Training:
    training = start(spec(method, recipe=replace(GENTLE, compiled=compiled)))
    train(training, 1, Watcher(stop_at=steps))
    return training


@pytest.mark.parametrize("method", ["none", "dpk"])
def test_two_steps_are_those_without(method: MethodName) -> None:
    """With logits alone, and with maps tapped inside the compiled network."""
    eager = trained(method, compiled=False)
    compiled = trained(method, compiled=True)
    measured = eager.averages.means()
    expected = {name: value for name, value in measured.items() if not name.startswith("gradient.")}
    assert compiled.averages.means() == pytest.approx(expected, rel=1e-4)
    for one, other in zip(compiled.model.parameters(), eager.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    assert compiled.model.state_dict().keys() == eager.model.state_dict().keys()


@pytest.mark.parametrize("method", ["none", "dpk"])
def test_it_is_compiled_once(method: MethodName) -> None:
    graphs: list[torch.fx.GraphModule] = []

    def keep(graph: torch.fx.GraphModule, _: object) -> object:
        graphs.append(graph)
        return graph.forward

    compiler = torch.compile

    def compile_with_keep(function: object, **options: object) -> object:
        return compiler(function, backend=keep, **options)  # type: ignore[call-overload]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "compile", compile_with_keep)
        trained(method, compiled=True, steps=7)
    assert len(graphs) == 1
    assert sum(node.op == "call_function" for node in graphs[0].graph.nodes) > 20


def test_it_is_judged_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiler is asked for training alone."""
    modes: list[bool] = []

    def compile_nothing(function: object, **_: object) -> object:
        def called(*arguments: torch.Tensor) -> object:
            modes.append(training.model.training)
            return function(*arguments)  # type: ignore[operator]

        return called

    monkeypatch.setattr(torch, "compile", compile_nothing)
    training = start(spec(recipe=replace(GENTLE, compiled=True)))
    train(training, 1, Watcher())
    assert modes == [True] * 7


def test_resumed_to_the_last_bit(tmp_path: Path) -> None:
    whole, parts = trained("dpk", compiled=True, steps=4), trained("dpk", compiled=True, steps=2)
    checkpoint = CheckpointWriter(tmp_path, "runs/a", None).write(parts)
    fresh = start(parts.spec)
    resume(fresh, tmp_path, checkpoint)
    train(fresh, 1, Watcher(stop_at=4, steps=2))
    assert_equal_states(whole, fresh)


def test_without_the_switch_nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", None)
    assert isinstance(trained("none", compiled=False).model, nn.Module)
