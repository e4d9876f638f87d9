"""A run with an operation that torch cannot compute deterministically is carried out, and says so.

`put_` is refused on the CPU as adaptive average pooling's gradient is on a GPU.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from dpk_core.models.weights import WeightedModel
from dpk_core.parallel.world import ALONE, World
from dpk_core.protocol import Event, Finished, Measured, Notice, Noticed, decode_event
from dpk_core.runner.carry_out import carry_out
from dpk_core.runner.inbox import Assignment
from dpk_core.runner.life import Channel
from dpk_core.training import training
from dpk_core.training.determinism import deterministic_where_possible, refused_operation
from tests.unit.runner.conversation import command, of_kind
from tests.unit.training.tiny import deterministic

MESSAGE = (
    "This run is not deterministic: put_ has no deterministic implementation on some CPU. Training it again may give "
    "slightly different numbers."
)


@pytest.fixture(autouse=True)
def deterministic_process() -> Iterator[None]:
    with deterministic():
        yield


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every student goes through a `put_` that changes nothing."""
    start = training.starting_model

    def started(*arguments: Any) -> WeightedModel:
        built = start(*arguments)
        built.model.register_forward_hook(lambda *_: put())
        return built

    monkeypatch.setattr(training, "starting_model", started)


def put() -> None:
    torch.zeros(3).put_(torch.tensor([0]), torch.tensor([1.0]))


def carried_out(folder: Path) -> tuple[Event, list[Event]]:
    """The last event of a run, and those before it."""
    stream = io.BytesIO()
    last = carry_out(Assignment(command(folder)), Channel(stream), torch.device("cpu"), "some CPU", ALONE)
    return last, [decode_event(line) for line in stream.getvalue().decode().splitlines()]


@pytest.mark.usefixtures("refused")
def test_the_run_is_carried_out_and_its_result_names_the_operation(tmp_path: Path) -> None:
    last, before = carried_out(tmp_path)
    assert isinstance(last, Finished)
    assert last.result.notices == (Notice(level="info", message=MESSAGE),)
    assert [event.message for event in of_kind(before, Noticed)] == [MESSAGE]
    assert [event.epoch for event in of_kind(before, Measured)] == [1, 2]


@pytest.mark.usefixtures("refused")
def test_the_next_run_is_deterministic_again(tmp_path: Path) -> None:
    carried_out(tmp_path)
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.is_deterministic_algorithms_warn_only_enabled()
    with pytest.raises(RuntimeError) as caught:
        put()
    assert refused_operation(caught.value) == "put_"


def test_numbers_and_notices_of_other_runs_are_what_they_were(tmp_path: Path) -> None:
    last, before = carried_out(tmp_path)
    assert isinstance(last, Finished)
    assert (last.result.notices, of_kind(before, Noticed)) == ((), [])


def test_other_errors_are_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> WeightedModel:
        raise RuntimeError("odd")

    monkeypatch.setattr(training, "starting_model", broken)
    with pytest.raises(RuntimeError, match=r"^odd$"):
        carried_out(tmp_path)


@pytest.mark.usefixtures("refused")
def test_of_several_ranks_one_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.BytesIO()
    monkeypatch.setattr("dpk_core.runner.carry_out._attempt", _refused_once())
    carry_out(Assignment(command(tmp_path)), Channel(stream), torch.device("cpu"), "x", World(rank=1, size=2))
    assert stream.getvalue() == b""


def _refused_once() -> object:
    calls: list[object] = []

    def attempt(*arguments: object) -> object:
        calls.append(arguments)
        if len(calls) == 1:
            put()
        return arguments[-1]

    return attempt


def test_within_the_block_torch_warns_of_nothing() -> None:
    with deterministic_where_possible():
        put()
