"""Every method, stopped and resumed at any step, trains as if it had never stopped, bit for bit."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dpk_core.distill.build import METHODS
from dpk_core.dpk_settings import DpkSettings, ExtraLoss, ShareSettings
from dpk_core.spec import MethodSpec, TrainingSpec
from dpk_core.training.checkpoint import CheckpointWriter, resume
from dpk_core.training.loop import train
from dpk_core.training.training import Training
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


@functools.cache
def whole(choice: str) -> tuple[Training, list[dict[str, float]]]:
    training, watcher = start(training_spec(choice)), Watcher()
    assert train(training, 2, watcher)
    return training, watcher.epochs


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("stop_at", [1, STEPS + 3])
def test_resumed_equals_uninterrupted(choice: str, stop_at: int, tmp_path: Path) -> None:
    expected, epochs = whole(choice)
    stopped, before, after = start(training_spec(choice)), Watcher(stop_at=stop_at), Watcher()
    assert not train(stopped, 2, before)
    checkpoint = CheckpointWriter(tmp_path, "runs/a").write(stopped)
    resumed = start(training_spec(choice))
    resume(resumed, tmp_path, checkpoint)
    assert train(resumed, 2, after)
    assert before.epochs + after.epochs == epochs
    assert_equal_states(expected, resumed)
