"""A real runner process to talk to."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from dpk_core.catalogue.datasets import DIGITS
from dpk_core.protocol import (
    ArtifactReference,
    Checkpoint,
    Command,
    Event,
    Failed,
    Finished,
    Measured,
    Ready,
    RunCommand,
    Stopped,
    decode_event,
    encode,
)
from dpk_core.recipes import recipe
from dpk_core.spec import MethodName, MethodSpec, Recipe, Role, RunSpec, Start, TeacherReference, TrainingSpec

E = TypeVar("E", bound=Event)

ROOT = Path(__file__).parents[3]
COMMAND = (sys.executable, "-m", "dpk_core.runner", "--device", "cpu", "--threads", "1")
PATIENCE_SECONDS = 600
"""For anything that is waited for: it takes seconds, but the machine may be overloaded."""
RECIPE = replace(recipe("digits", epochs=2), batch_size=128)


class Runner:
    """A runner process and what it has said that nobody has looked at yet."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self.ready = self.until(Ready)[-1]

    def say(self, command: Command) -> None:
        self.say_line(encode(command))

    def say_line(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def next(self) -> Event:
        """The next event; a line that is none fails the test."""
        return decode_event(self._lines.get(timeout=PATIENCE_SECONDS))

    def until(self, *kinds: type[Event]) -> list[Event]:
        """Events up to and including the first of one of these kinds."""
        events = [self.next()]
        while not isinstance(events[-1], kinds):
            events.append(self.next())
        return events

    def run(self, command: RunCommand) -> list[Event]:
        """Everything said about a run, up to its last event."""
        self.say(command)
        return self.until(Finished, Stopped, Failed)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)


@contextmanager
def running(device: str = "cpu") -> Iterator[Runner]:
    """A runner for the block."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        (*COMMAND, "--device", device),
        cwd=ROOT,
        env=environment,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        try:
            yield Runner(process)
        finally:
            process.kill()


def command(
    artifacts: Path,
    run_id: str = "r1",
    *,
    model: str = "cifar/resnet8w4",
    role: Role = "student",
    method: MethodName = "none",
    teacher: ArtifactReference | None = None,
    teacher_model: str = "cifar/resnet8w8",
    resume: Checkpoint | None = None,
    earlier_seconds: float = 0.0,
    recipe: Recipe = RECIPE,
    stop_epoch: int | None = None,
    checkpoint_seconds: float = 30.0,
    fingerprint: str = DIGITS.fingerprint,
    data_root: Path | None = None,
    dataset: str = "digits",
    start: Start | None = None,
    weights_root: Path | None = None,
) -> RunCommand:
    """A small run."""
    reference = None if method == "none" else TeacherReference(model=teacher_model, training_key="key")
    training = TrainingSpec(
        role=role, model=model, dataset=dataset, data_fingerprint=fingerprint,
        method=MethodSpec(name=method), teacher=reference, recipe=recipe, seed=0, start=start,
    )  # fmt: skip
    return RunCommand(
        run_id=run_id, spec=RunSpec(training=training, stop_epoch=recipe.epochs if stop_epoch is None else stop_epoch),
        artifact_root=str(artifacts), checkpoint_prefix=f"checkpoints/{run_id}",
        weights_path=f"weights/{run_id}.safetensors", teacher_weights=teacher, resume=resume,
        earlier_seconds=earlier_seconds,
        data_root=None if data_root is None else str(data_root),
        weights_root=None if weights_root is None else str(weights_root), checkpoint_seconds=checkpoint_seconds,
    )  # fmt: skip


def of_kind(events: list[Event], kind: type[E]) -> list[E]:
    """The events of one kind."""
    return [event for event in events if isinstance(event, kind)]


def measurements(events: list[Event]) -> list[dict[str, float]]:
    """What was measured, epoch by epoch."""
    return [event.values for event in of_kind(events, Measured)]
