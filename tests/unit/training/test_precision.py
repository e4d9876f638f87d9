"""Lower precision and another memory layout, as a recipe chooses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, get_args

import pytest
import torch
from torch import nn

from dpk_core.data.batches import TrainingBatches
from dpk_core.distill import cka
from dpk_core.spec import MethodName
from dpk_core.training import evaluate
from dpk_core.training.loop import train
from dpk_core.training.training import Training, make_deterministic
from tests.unit.training.tiny import RECIPE, STEPS, Watcher, spec, start


def convolution_outputs(training: Training) -> list[torch.Tensor]:
    """What the student's last convolution gave in two steps."""
    seen: list[torch.Tensor] = []
    last = [module for module in training.model.modules() if isinstance(module, nn.Conv2d)][-1]
    handle = last.register_forward_hook(lambda *call: seen.append(call[2]))
    train(training, 1, Watcher(stop_at=2))
    handle.remove()
    return seen


@pytest.mark.parametrize("method", get_args(MethodName))
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_every_method_trains_in_lower_precision(method: MethodName, precision: Literal["bfloat16", "float16"]) -> None:
    training = start(spec(method, recipe=replace(RECIPE, precision=precision)))
    outputs = convolution_outputs(training)
    assert [output.dtype for output in outputs] == [getattr(torch, precision)] * 2
    training.averages.check(training.step)
    assert all(parameter.dtype == torch.float32 for parameter in training.method.parameters())


def test_lower_precision_is_near_the_full_one() -> None:
    full, low = Watcher(), Watcher()
    train(start(spec(recipe=RECIPE)), 1, full)
    train(start(spec(recipe=replace(RECIPE, precision="bfloat16"))), 1, low)
    assert low.epochs[0]["train_loss"] == pytest.approx(full.epochs[0]["train_loss"], rel=0.02)
    assert low.epochs[0]["train_loss"] != full.epochs[0]["train_loss"]


@pytest.mark.parametrize("precision", ["float32", "tf32"])
def test_a_gpu_rounds_products_in_the_steps_of_tf32_alone(
    precision: Literal["float32", "tf32"], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And neither in pictures, losses and CKA nor where the network is judged."""
    seen: dict[str, set[tuple[bool, bool]]] = {}

    def noting(place: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*arguments: Any, **options: Any) -> Any:
            allowed = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
            seen.setdefault(place, set()).add(allowed)
            return function(*arguments, **options)

        return noted

    make_deterministic(torch.get_num_threads())
    monkeypatch.setattr(TrainingBatches, "at", noting("pictures", TrainingBatches.at))
    monkeypatch.setattr(cka, "gram", noting("CKA", cka.gram))
    monkeypatch.setattr(nn.functional, "kl_div", noting("loss", nn.functional.kl_div))
    monkeypatch.setattr(evaluate, "_accuracy", noting("judged", evaluate._accuracy))
    training = start(spec("dpk", recipe=replace(RECIPE, precision=precision)))
    monkeypatch.setattr(training.method, "forward", noting("step", training.method.forward))
    train(training, 1, Watcher())
    steps = (precision == "tf32", precision == "tf32")
    exact = {place: {(False, False)} for place in ("pictures", "loss", "CKA", "judged")}
    assert seen == {"step": {steps}, **exact}


class TestScaler:
    FLOAT16 = replace(RECIPE, precision="float16", momentum=0.0, weight_decay=0.0, learning_rate=1.0, warmup_epochs=0)

    def test_clipping_sees_gradients_without_the_scale(self) -> None:
        training = start(spec(recipe=replace(self.FLOAT16, clip_norm=1e-3)))
        before = nn.utils.parameters_to_vector(training.model.parameters()).detach()
        train(training, 1, Watcher(stop_at=1))
        moved = nn.utils.parameters_to_vector(training.model.parameters()).detach() - before
        assert moved.norm().item() == pytest.approx(1e-3, rel=0.01)

    def test_an_update_that_overflowed_is_left_out_and_the_scale_halved(self) -> None:
        training = start(spec(recipe=self.FLOAT16))
        next(training.model.parameters()).register_hook(lambda gradient: gradient * torch.inf)
        before = nn.utils.parameters_to_vector(training.model.parameters()).detach()
        scale = training.optimisers.scaler.get_scale()
        train(training, 1, Watcher(stop_at=1))
        assert torch.equal(nn.utils.parameters_to_vector(training.model.parameters()), before)
        assert training.optimisers.scaler.get_scale() == scale / 2
        assert training.step == 1

    def test_the_scale_is_in_the_checkpoint(self) -> None:
        training, fresh = (start(spec(recipe=self.FLOAT16)) for _ in range(2))
        train(training, 1, Watcher(stop_at=1))
        training.optimisers.scaler.update(new_scale=8.0)
        fresh.restore(training.state())
        assert fresh.optimisers.scaler.get_scale() == 8.0


class TestChannelsLast:
    def test_it_learns_the_same(self) -> None:
        """That pictures and weights lie so is tested on coloured pictures: with one channel both layouts are one."""
        one, other = Watcher(), Watcher()
        train(start(spec(recipe=RECIPE)), 1, one)
        train(start(spec(recipe=replace(RECIPE, channels_last=True))), 1, other)
        assert other.epochs[0]["train_loss"] == pytest.approx(one.epochs[0]["train_loss"], rel=1e-3)
        assert one.steps == STEPS
