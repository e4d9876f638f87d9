"""Networks that run through torch's compiler teach and learn what others do, to rounding."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from dpk_core.errors import InvalidRequest
from dpk_core.parallel.world import World
from dpk_core.spec import Compiled, MethodName, Recipe
from dpk_core.training.checkpoint import CheckpointWriter, resume
from dpk_core.training.loop import train
from dpk_core.training.training import Training, begin
from tests.unit.training.tiny import RECIPE, Watcher, assert_equal_states, digits, spec, start

pytestmark = pytest.mark.skipif(
    shutil.which("c++") is None and shutil.which("g++") is None, reason="torch's compiler needs a C++ compiler"
)

GENTLE = replace(RECIPE, learning_rate=0.002)
SHALLOW = "cifar/plain2"
"""Each operation of a network is some seconds of the C++ compiler's."""


@pytest.fixture(autouse=True)
def forgotten_afterwards() -> Iterator[None]:
    """Nothing that was compiled outlives its test."""
    yield
    torch.compiler.reset()


def trained(method: MethodName, *, compiled: Compiled, steps: int = 2, epochs: int = 1) -> Training:
    training = start(spec(method, model=SHALLOW, teacher_model=SHALLOW, recipe=replace(GENTLE, compiled=compiled)))
    train(training, epochs, Watcher(stop_at=steps))
    return training


def measured(training: Training) -> dict[str, float]:
    """Without the gradients of single terms, which compiled networks do not give."""
    return {name: value for name, value in training.averages.means().items() if not name.startswith("gradient.")}


@pytest.mark.parametrize("method", ["none", "dpk"])
def test_two_steps_are_those_without(method: MethodName) -> None:
    """With logits alone, and with maps tapped inside the compiled network."""
    eager = trained(method, compiled="no")
    compiled = trained(method, compiled="default")
    assert compiled.averages.means() == pytest.approx(measured(eager), rel=1e-4)
    for one, other in zip(compiled.model.parameters(), eager.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    assert compiled.model.state_dict().keys() == eager.model.state_dict().keys()


@pytest.mark.parametrize(("method", "networks"), [("none", 1), ("kd", 2), ("dpk", 2)])
def test_each_network_is_compiled_once(method: MethodName, networks: int) -> None:
    graphs: list[torch.fx.GraphModule] = []

    def keep(graph: torch.fx.GraphModule, _: object) -> object:
        graphs.append(graph)
        return graph.forward

    compiler = torch.compile

    def compile_with_keep(function: object, **options: object) -> object:
        return compiler(function, backend=keep, **options)  # type: ignore[call-overload]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "compile", compile_with_keep)
        trained(method, compiled="default", steps=9, epochs=2)  # the student is judged after the seventh
    assert len(graphs) == networks
    assert all(sum(node.op == "call_function" for node in graph.graph.nodes) > 6 for graph in graphs)


def test_it_is_judged_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiler is asked for training alone."""
    modes: list[bool] = []

    def compile_nothing(function: object, **_: object) -> object:
        def called(*arguments: torch.Tensor) -> object:
            modes.append(training.model.training)
            return function(*arguments)  # type: ignore[operator]

        return called

    monkeypatch.setattr(torch, "compile", compile_nothing)
    training = start(spec(recipe=replace(GENTLE, compiled="default")))
    train(training, 1, Watcher())
    assert modes == [True] * 7


def test_resumed_to_the_last_bit(tmp_path: Path) -> None:
    whole, parts = trained("dpk", compiled="default", steps=4), trained("dpk", compiled="default", steps=2)
    checkpoint = CheckpointWriter(tmp_path, "runs/a").write(parts)
    fresh = start(parts.spec)
    resume(fresh, tmp_path, checkpoint)
    train(fresh, 1, Watcher(stop_at=4, steps=2))
    assert_equal_states(whole, fresh)


def test_without_the_switch_nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", None)
    assert isinstance(trained("none", compiled="no").model, nn.Module)


def test_cuda_graphs_are_asked_for_and_each_step_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the CPU torch makes no graphs of this mode; what it is asked for is what a GPU gets."""
    asked: list[object] = []
    marks: list[None] = []

    def compile_nothing(function: object, **options: object) -> object:
        asked.append(options)
        return function

    monkeypatch.setattr(torch, "compile", compile_nothing)
    monkeypatch.setattr(torch.compiler, "cudagraph_mark_step_begin", lambda: marks.append(None))
    eager = trained("dpk", compiled="no")
    assert (asked, marks) == ([], [])
    graphed = trained("dpk", compiled="reduce-overhead")
    assert asked == 2 * [{"dynamic": False, "mode": "reduce-overhead"}]
    assert len(marks) == graphed.step == 2
    assert graphed.averages.means() == measured(eager)


def test_the_teacher_that_was_lent_has_no_hooks_afterwards() -> None:
    training = trained("dpk", compiled="default")
    assert training.method.teacher is not None
    assert not any(module._forward_hooks for module in training.method.teacher.modules())


def test_graphs_are_refused_where_they_cannot_be() -> None:
    with pytest.raises(ValueError, match="compiled 'reduce-overhead' takes no accumulation"):
        replace(GENTLE, compiled="reduce-overhead", accumulation=2)
    recipe: Recipe = replace(GENTLE, compiled="reduce-overhead")
    with pytest.raises(InvalidRequest, match="several devices") as caught:
        begin(spec(recipe=recipe), digits(), None, world=World(rank=0, size=2))
    assert (caught.value.field, caught.value.nearest) == ("recipe.compiled", "default")
