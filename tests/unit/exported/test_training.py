"""An uploaded student under DPK: the same training, step by step, as that of the network it was exported from."""

from __future__ import annotations

import copy
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dpk_core import artifacts
from dpk_core.catalogue.own_models import OwnModel, make_known
from dpk_core.catalogue.weights import find_weights
from dpk_core.codec import to_json
from dpk_core.exported.program import DRAWING_RULE
from dpk_core.models.vet import vet
from dpk_core.models.weights import WeightedModel
from dpk_core.parallel.world import ALONE
from dpk_core.protocol import Finished, RunCommand, decode_command, encode
from dpk_core.runner.carry_out import carry_out
from dpk_core.runner.inbox import Assignment
from dpk_core.runner.life import Channel
from dpk_core.spec import MethodName, TrainingSpec
from dpk_core.training import training as trainings
from dpk_core.training.loop import train
from dpk_core.training.training import Training
from tests.unit.exported.networks import excited, forget_uploads
from tests.unit.runner.conversation import command
from tests.unit.training.tiny import RECIPE, Watcher, deterministic, spec, start

STEPS = 2
NAME = "own/student-00000000"


@pytest.fixture(autouse=True)
def known(tmp_path: Path) -> Iterator[OwnModel]:
    """The network of these tests as an upload that this process can build."""
    file = tmp_path / "excited.pt2"
    file.write_bytes(excited()[1])
    document, kept = vet(NAME, "sha256:0", file)
    document = replace(document, file=artifacts.write(tmp_path, "models/x.safetensors", kept))
    make_known(document, tmp_path)
    yield document
    forget_uploads()


def asked(method: MethodName) -> TrainingSpec:
    found = find_weights(NAME, "own", None, "weights")
    assert found is not None
    return replace(spec(method), model=NAME, start=found.start)


def trained(training_spec: TrainingSpec) -> Training:
    training = start(training_spec)
    train(training, 1, Watcher(stop_at=STEPS))
    return training


@pytest.mark.parametrize("method", ["dpk", "kd"])
def test_it_learns_what_its_source_learns(method: MethodName, monkeypatch: pytest.MonkeyPatch) -> None:
    with deterministic():
        ours = trained(asked(method))
        source = WeightedModel(model=copy.deepcopy(excited()[0]).train())
        monkeypatch.setattr(trainings, "starting_model", lambda *_: source)
        theirs = trained(asked(method))
    assert ours.step == theirs.step == STEPS
    expected = theirs.model.state_dict()
    assert ours.model.state_dict().keys() == expected.keys()
    for name, value in ours.model.state_dict().items():
        torch.testing.assert_close(value, expected[name], msg=name)
    pictures_BCHW = torch.randn(4, 1, 8, 8)
    torch.testing.assert_close(ours.model.eval()(pictures_BCHW), theirs.model.eval()(pictures_BCHW))
    before = excited()[0].state_dict()
    assert not any(torch.equal(value, before[name]) for name, value in expected.items())


def test_an_average_of_its_weights_and_copies_work() -> None:
    training_spec = asked("none")
    averaged = replace(training_spec, recipe=replace(training_spec.recipe, ema_decay=0.5))
    training = trained(averaged)
    assert training.judged is not training.model
    assert training.judged.eval()(torch.zeros(2, 1, 8, 8)).shape == (2, 10)


def test_a_runner_that_has_only_its_command_builds_it(known: OwnModel, tmp_path: Path) -> None:
    forget_uploads()
    asked_for = command(tmp_path, model=NAME, recipe=replace(RECIPE, epochs=1))
    decoded = decode_command(encode(replace(asked_for, uploads=(to_json(known),))))
    assert isinstance(decoded, RunCommand)
    with deterministic():
        last = carry_out(Assignment(decoded), Channel(io.BytesIO()), torch.device("cpu"), "some CPU", ALONE)
    assert isinstance(last, Finished)
    assert [notice.message for notice in last.result.notices] == [f"Student: i{DRAWING_RULE[1:]}"]
