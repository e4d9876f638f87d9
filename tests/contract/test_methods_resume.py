"""Every method, stopped and resumed at any step, trains as if it had never stopped, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dpk_core.distill.build import METHODS
from dpk_core.dpk_settings import DpkSettings, ExtraLoss, ShareSettings
from dpk_core.spec import MethodSpec, TrainingSpec
from dpk_core.training.checkpoint import CheckpointWriter, resume
from dpk_core.training.loop import train
from tests.unit.training.tiny import STEPS, Watcher, assert_equal_states, deterministic, spec, start

CHOICES: dict[str, MethodSpec] = {
    **{name: MethodSpec(name=name) for name in METHODS},
    "dpk, lagging share": MethodSpec(name="dpk", dpk=DpkSettings(share=ShareSettings(lag=True, least_cka=0.0))),
    "dpk, random share": MethodSpec(name="dpk", dpk=DpkSettings(share=ShareSettings(schedule="random"))),
    "dpk, narrow heads": MethodSpec(name="dpk", profile="paper"),
    "dpk, extra losses": MethodSpec(name="dpk", dpk=DpkSettings(extra_losses=(ExtraLoss(name="dkd", weight=0.5),))),
    "dpk, cosine share": MethodSpec(name="dpk", dpk=DpkSettings(share=ShareSettings(schedule="cosine"))),
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with deterministic():
        yield


def training_spec(choice: str) -> TrainingSpec:
    method = CHOICES[choice]
    return replace(spec("none" if method.name == "none" else "kd"), method=method)


@pytest.mark.parametrize("choice", CHOICES)
def test_stopped_twice_equals_uninterrupted(choice: str, tmp_path: Path) -> None:
    training, epochs = start(training_spec(choice)), []
    for stop_at in (1, STEPS + 3):
        watcher = Watcher(stop_at=stop_at)
        assert not train(training, 2, watcher)
        epochs += watcher.epochs
        checkpoint = CheckpointWriter(tmp_path, "runs/a").write(training)
        training = start(training_spec(choice))
        resume(training, tmp_path, checkpoint)
    last = Watcher()
    assert train(training, 2, last)
    uninterrupted, expected = start(training_spec(choice)), Watcher()
    assert train(uninterrupted, 2, expected)
    assert epochs + last.epochs == expected.epochs
    assert_equal_states(uninterrupted, training)
