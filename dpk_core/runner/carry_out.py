"""One run from its command to its last event."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import torch

from dpk_core import artifacts
from dpk_core.catalogue.detection.detectors import kind_and_backbone
from dpk_core.catalogue.detection.plugged import is_plugged
from dpk_core.codec import to_json
from dpk_core.errors import ArtifactFault
from dpk_core.evidence import pack
from dpk_core.models.build import parameter_count
from dpk_core.models.preprocessing import WHITE
from dpk_core.parallel.world import ALONE, World
from dpk_core.preprocessing import AS_DATA
from dpk_core.protocol import (
    ArtifactReference,
    Checkpointed,
    Event,
    Finished,
    Measured,
    Noticed,
    Preprocessing,
    Progressed,
    RunCommand,
    RunResult,
    Started,
    Stopped,
)
from dpk_core.runner import warm
from dpk_core.runner.as_is import order_notice, scaling_notice
from dpk_core.runner.inbox import Assignment
from dpk_core.runner.life import Channel
from dpk_core.runner.notices import (
    chance_notices,
    fallback_rates,
    infos,
    place,
    record_fallbacks,
    starting_notes,
    training_notices,
)
from dpk_core.runner.scores import Scored, student_scores, teacher_scores
from dpk_core.runner.versions import versions
from dpk_core.tasks import METRICS
from dpk_core.training.checkpoint import CheckpointWriter, Saved, resume, save_weights
from dpk_core.training.determinism import deterministic_where_possible, not_deterministic, refused_operation
from dpk_core.training.evaluate import EVALUATORS, Evaluation
from dpk_core.training.loop import train
from dpk_core.training.training import Training, begin

PROGRESS_SECONDS = 1.0


class Reporter:
    """The loop's observer: turns what it sees into events and checkpoints."""

    def __init__(self, assignment: Assignment, channel: Channel, writer: CheckpointWriter, total_steps: int) -> None:
        self._assignment, self._channel, self._writer = assignment, channel, writer
        self._run_id, self._total_steps = assignment.command.run_id, total_steps
        self._progressed = self._checkpointed = time.monotonic()

    def wants_stop(self) -> bool:
        """Whether the worker has asked for an end."""
        return self._assignment.stop.is_set()

    def measured(self, training: Training, values: dict[str, float], validation: Evaluation) -> None:  # noqa: ARG002  (an observer's signature)
        """Sends the epoch's values, and once per stage a notice when its share could not follow CKA."""
        self._channel.send(Measured(run_id=self._run_id, step=training.step, epoch=training.epoch, values=values))
        for stage, part, is_first in record_fallbacks(training, values):
            if is_first:
                message = (
                    f"In epoch {training.epoch} the share of {place(stage)} took its fallback value in {part:.0%} of "
                    "the steps, because CKA was undefined, near zero or negative there."
                )
                self._channel.send(Noticed(run_id=self._run_id, level="info", message=message))

    def stepped(self, training: Training) -> None:
        """Sends progress and writes a checkpoint where one is due."""
        now = time.monotonic()
        if now - self._checkpointed >= self._assignment.command.checkpoint_seconds:
            self.checkpoint(training)
        if now - self._progressed >= PROGRESS_SECONDS:
            self.progress(training)

    def began(self, training: Training) -> None:
        """Says once what a reader of the result must know of the weights it starts from."""
        if self._assignment.command.resume is None:
            for note in starting_notes(training):
                self._channel.send(Noticed(run_id=self._run_id, level="info", message=note))

    def progress(self, training: Training) -> None:
        """Sends how far the training is."""
        self._progressed = time.monotonic()
        self._channel.send(
            Progressed(run_id=self._run_id, step=training.step, total_steps=self._total_steps, seconds=training.seconds)
        )

    def checkpoint(self, training: Training) -> None:
        """Writes a checkpoint and announces it."""
        checkpoint = self._writer.write(training)
        self._checkpointed = time.monotonic()
        self._channel.send(Checkpointed(run_id=self._run_id, checkpoint=checkpoint))


class Follower:
    """The observer of a rank that does not lead: the leading one hears, speaks and writes for all."""

    def wants_stop(self) -> bool:
        """Never by itself."""
        return False

    def _keep_quiet(self, *_: Any, **__: Any) -> None:
        pass

    began = measured = stepped = progress = checkpoint = _keep_quiet


def carry_out(
    assignment: Assignment, channel: Channel, device: torch.device, device_name: str, world: World = ALONE
) -> Event:
    """Trains as the assignment says, sending events on the way. Returns the last event, which the caller sends.

    In a `world` of several ranks each carries out the same assignment, and the one that leads writes the files. A run
    that cannot be deterministic is begun again without that promise, with a notice; torch refuses it in its first step.
    Raises what can go wrong with data, artifacts, memory or the training itself; see `failures`.
    """
    try:
        return _attempt(assignment, channel, device, device_name, world, ())
    except RuntimeError as error:
        if (operation := refused_operation(error)) is None:
            raise
    # Outside of the handler: the error holds on to everything that the first attempt had in memory.
    message = not_deterministic(operation, device_name)
    if world.leads:
        channel.send(Noticed(run_id=assignment.command.run_id, level="info", message=message))
    with deterministic_where_possible():
        return _attempt(assignment, channel, device, device_name, world, (message,))


def _attempt(
    assignment: Assignment,
    channel: Channel,
    device: torch.device,
    device_name: str,
    world: World,
    notes: tuple[str, ...],
) -> Event:
    """As `carry_out`; `notes` belong to the result."""
    command = assignment.command
    root = Path(command.artifact_root)
    training = _prepare(command, root, device, world)
    total_steps = command.spec.stop_epoch * training.steps_per_epoch
    channel.send(
        Started(
            run_id=command.run_id, step=training.step, total_steps=total_steps,
            steps_per_epoch=training.steps_per_epoch, parameters=parameter_count(training.model),
        )
    )  # fmt: skip
    reporter: Reporter | Follower = Follower()
    if world.leads:
        writer = CheckpointWriter(root, command.checkpoint_prefix)
        reporter = Reporter(assignment, channel, writer, total_steps)
    reporter.began(training)
    early = scaling_notice(training)
    reached = train(training, command.spec.stop_epoch, reporter)
    reporter.progress(training)
    if total_steps > 0:
        reporter.checkpoint(training)
    if not reached:
        return Stopped(run_id=command.run_id, step=training.step)
    scored = _scores(command, training) if world.leads else Scored(scores=None, notes=())
    result = _result(command, training, root, device, device_name, scored.scores)
    shown = order_notice(training) if world.leads else []
    late = [*early, *shown, *chance_notices(command.spec, result), *infos(scored.notes)]
    for notice in late:
        channel.send(Noticed(run_id=command.run_id, level=notice.level, message=notice.message))
    notices = (*infos(notes), *training_notices(training), *late)
    return Finished(run_id=command.run_id, result=replace(result, notices=notices))


def _prepare(command: RunCommand, root: Path, device: torch.device, world: World) -> Training:
    spec = command.spec.training
    warm.models_here(spec, command.uploads, root)
    data = warm.data_for(spec, None if command.data_root is None else Path(command.data_root), device)
    teacher = None
    if spec.teacher is not None:
        if command.teacher_weights is None:
            raise ArtifactFault(f"The run needs the weights of its teacher {spec.teacher.model}, and none were named.")
        teacher = warm.teacher_for(spec.teacher.model, command.teacher_weights, root, data, spec.recipe.detection)
    weights_root = None if command.weights_root is None else Path(command.weights_root)
    training = begin(spec, data, teacher, weights_root=weights_root, world=world)
    if command.resume is not None:
        resume(training, root, command.resume)
    return training


def _scores(command: RunCommand, training: Training) -> Scored:
    """What rivals say, measured where no earlier run did."""
    spec = command.spec
    if spec.training.task == "detection":
        return Scored(scores=None, notes=())  # they compare class scores, or maps of whole pictures
    if command.known_scores is not None:
        return Scored(scores=command.known_scores, notes=())
    if spec.training.role == "teacher" and spec.is_full:
        return teacher_scores(training.judged, spec.training.model, training.data)
    if training.method.teacher is not None:
        weights_root = None if command.weights_root is None else Path(command.weights_root)
        return student_scores(spec.training, training.method.teacher, training.data, weights_root)
    return Scored(scores=None, notes=())


def _result(
    command: RunCommand,
    training: Training,
    root: Path,
    device: torch.device,
    device_name: str,
    scores: dict[str, float] | None,
) -> RunResult:
    spec, data = command.spec, training.data
    evaluator = EVALUATORS[spec.training.task]
    # The only place that reads the test split, and only when the training is over.
    test = None
    if spec.is_full:
        test = evaluator.evaluate(training.judged, data, data.read_test(), training.world, reported=True)
    weights = None
    if spec.is_full and training.world.leads:
        weights = save_weights(training.judged, root, command.weights_path, _beside(training))
    score, guess = training.last_measured[METRICS[spec.training.task].measured_as], evaluator.guess(data.validation)
    evidence = training.last_evidence
    assert evidence is not None
    return RunResult(
        epochs=training.epoch,
        validation_score=score,
        test_score=None if test is None else test.score,
        validation_pictures=data.card.validation_pictures,
        test_pictures=data.card.test_pictures,
        seconds=training.seconds - command.earlier_seconds,
        parameters=parameter_count(training.model),
        device=str(device),
        device_name=device_name,
        weights=weights,
        samples=_samples(command, training, root) if weights is not None else None,
        test_details=dict(test.details) if test is not None and test.details else None,
        scores=scores,
        validation_evidence=pack(evidence.numpy()),
        fallback_rates=fallback_rates(training),
        guess_score=guess,
        near_chance=evaluator.is_chance(score, evidence, guess),
        preprocessing=_preprocessing(training) if spec.is_full else None,
        versions=versions(),
    )


def _samples(command: RunCommand, training: Training, root: Path) -> ArtifactReference | None:
    """Of a detector: pictures with its boxes, kept beside its weights."""
    if command.spec.training.task != "detection":
        return None
    # Here, as torchvision takes longer to import than torch.
    from dpk_core.training.detection_samples import detection_samples

    found = detection_samples(training.judged, training.data)
    path = str(PurePosixPath(command.weights_path).with_suffix(".boxes.json"))
    return artifacts.write(root, path, json.dumps(to_json(found)).encode())


def _beside(training: Training) -> Saved:
    detection, model = training.spec.recipe.detection, training.spec.model
    detector = None
    if detection is not None and not is_plugged(model):
        detector = detection.of(kind_and_backbone(model, "model")[0])
    return Saved(preprocessing=training.preprocessing, detector=detector)


def _preprocessing(training: Training) -> Preprocessing:
    data, own = training.data, training.preprocessing or AS_DATA
    mean, deviation = tuple(data.mean.tolist()), tuple(data.std.tolist())
    if own.mean is not None and own.std is not None:
        mean, deviation = (tuple(WHITE / own.scale * each for each in values) for values in (own.mean, own.std))
    return Preprocessing(
        channels=own.channels(data.card.channels), side=own.side or data.card.side, mean=mean, deviation=deviation,
        classes=data.card.classes, canvas=data.card.canvas,
    )  # fmt: skip
