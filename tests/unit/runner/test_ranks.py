"""A runner of two devices: to its worker it is one, and it gives what a runner of one device gives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from dpk_core.protocol import Checkpointed, Failed, Finished, Progressed, Ready, Started, StopCommand, Stopped
from tests.unit.runner.conversation import PATIENCE_SECONDS, RECIPE, Runner, command, measurements, of_kind, running

GENTLE = replace(RECIPE, learning_rate=0.002)
LONG = replace(RECIPE, epochs=500)


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    """One runner for all these tests: living on is part of what they test."""
    with running("cpu,cpu") as process:
        yield process


def ranks_of(runner: Runner) -> list[psutil.Process]:
    return psutil.Process(runner.process.pid).children()


def test_it_is_ready_when_both_devices_are(runner: Runner) -> None:
    assert isinstance(runner.ready, Ready)
    assert runner.ready.device == "cpu,cpu"
    assert runner.ready.device_name.startswith("2 x ")
    assert len(ranks_of(runner)) == 2


def test_a_run_is_that_of_one_device(runner: Runner, alone: Runner, tmp_path: Path) -> None:
    wanted = command(tmp_path / "two", role="teacher", recipe=GENTLE)
    two = runner.run(wanted)
    one = alone.run(replace(wanted, artifact_root=str(tmp_path / "one")))
    assert [type(event) for event in two if not isinstance(event, Progressed)] == [
        type(event) for event in one if not isinstance(event, Progressed)
    ]
    for ours, theirs in zip(measurements(two), measurements(one), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-3, abs=0.005)
    last, expected = two[-1], one[-1]
    assert isinstance(last, Finished)
    assert isinstance(expected, Finished)
    assert last.result.device == "cpu,cpu"
    assert last.result.device_name == runner.ready.device_name
    assert last.result.test_score == pytest.approx(expected.result.test_score, abs=0.005)
    files = [sorted(path.name for path in (tmp_path / root).rglob("*.*")) for root in ("one", "two")]
    assert files[0] == files[1] == ["r1-14.pt", "r1.safetensors"]


def test_stopped_and_resumed_as_never_stopped(runner: Runner, tmp_path: Path) -> None:
    whole = runner.run(command(tmp_path, "whole", recipe=GENTLE, stop_epoch=2))
    runner.say(command(tmp_path, "long", recipe=LONG, checkpoint_seconds=0.0))
    before = runner.until(Checkpointed)
    runner.say(StopCommand())
    last = runner.until(Stopped, Finished, Failed)[-1]
    assert isinstance(last, Stopped)
    assert last.step < 500 * 7
    assert len(of_kind(before, Started)) == 1
    # The first epoch is a run of its own, the second goes on from its checkpoint.
    first = runner.run(command(tmp_path, "parts", recipe=GENTLE, stop_epoch=1))
    checkpoint = of_kind(first, Checkpointed)[-1].checkpoint
    second = runner.run(command(tmp_path, "parts", recipe=GENTLE, stop_epoch=2, resume=checkpoint))
    assert measurements(first) + measurements(second) == measurements(whole)


def test_a_batch_that_cannot_be_shared_is_refused(runner: Runner, tmp_path: Path) -> None:
    last = runner.run(command(tmp_path, recipe=replace(RECIPE, batch_size=127)))[-1]
    assert isinstance(last, Failed)
    assert last.kind == "invalid"
    assert "127 pictures cannot be shared evenly by 2 devices" in last.message


def test_after_a_failure_a_rank_that_dies_fails_the_run_and_not_the_runner(runner: Runner, tmp_path: Path) -> None:
    runner.say(command(tmp_path, recipe=LONG))
    runner.until(Started)
    ranks_of(runner)[1].kill()
    last = runner.until(Stopped, Finished, Failed)[-1]
    assert isinstance(last, Failed)
    assert last.kind == "internal"
    assert last.message == "The process for cpu died; the others were ended."
    assert isinstance(runner.run(command(tmp_path))[-1], Finished)


def test_no_rank_outlives_the_runner(runner: Runner, tmp_path: Path) -> None:
    ranks = ranks_of(runner)
    runner.say(command(tmp_path, recipe=LONG))
    runner.until(Started)
    runner.process.kill()
    gone, alive = psutil.wait_procs(ranks, timeout=PATIENCE_SECONDS)
    assert (len(gone), alive) == (2, [])
