"""The running average of a network's weights: what it is, and that it is what is judged."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from dpk_core.training.evaluate import EVALUATORS
from dpk_core.training.loop import train
from dpk_core.training.training import Training
from tests.unit.training.tiny import RECIPE, Watcher, spec, start

DECAY = 0.75
AVERAGED = spec(recipe=replace(RECIPE, ema_decay=DECAY))


class Follower(Watcher):
    """Averages weights and buffers by hand: the state after the first step, then each step's share."""

    def __init__(self) -> None:
        super().__init__()
        self.average: dict[str, Tensor] = {}

    def stepped(self, training: Training) -> None:
        super().stepped(training)
        for name, value in training.model.state_dict().items():
            before = self.average.get(name)
            self.average[name] = value.clone() if before is None else DECAY * before + (1 - DECAY) * value


def test_it_follows_weights_and_buffers() -> None:
    training, follower = start(AVERAGED), Follower()
    train(training, 1, follower)
    floating = {name: value for name, value in training.judged.state_dict().items() if value.is_floating_point()}
    assert any(name.endswith("running_mean") for name in floating)
    for name, value in floating.items():
        torch.testing.assert_close(value, follower.average[name])


def test_it_is_what_is_measured_and_leaves_the_training_as_it_was() -> None:
    plain, averaged = start(spec()), start(AVERAGED)
    watchers = Watcher(), Watcher()
    for training, watcher in zip((plain, averaged), watchers, strict=True):
        train(training, 1, watcher)
    measured = watchers[1].epochs[0]
    evaluate = EVALUATORS["classification"].evaluate
    assert measured["validation_loss"] == evaluate(averaged.judged, averaged.data, averaged.data.validation).loss
    assert measured["validation_loss"] != watchers[0].epochs[0]["validation_loss"]
    assert measured["train_loss"] == watchers[0].epochs[0]["train_loss"]
    for one, other in zip(plain.model.parameters(), averaged.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_without_one_the_network_itself_is_judged() -> None:
    training = start(spec())
    assert training.judged is training.model


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_what_cannot_be_is_refused(decay: float) -> None:
    with pytest.raises(ValueError, match="ema_decay must be at least 0 and below 1"):
        replace(RECIPE, ema_decay=decay)
