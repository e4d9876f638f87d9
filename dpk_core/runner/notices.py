"""What a reader of a run's result must know: about the weights it began with, the shares of DPK, and chance."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from dpk_core.chance import chance_sentence, no_detector_sentence
from dpk_core.protocol import Notice, RunResult
from dpk_core.spec import RunSpec
from dpk_core.training.training import Training

FALLBACK = "share_fallback."
"""Beginning of the measurements that say how often a stage's share took its fallback value."""

OFTEN = 0.5
"""Part of the steps with a fallback share from which it is a warning."""

WRONG_ORDER = (
    "The weights were taken as they are: were they made for classes in another order, or for pictures scaled in "
    "another way?"
)


def infos(messages: Iterable[str]) -> list[Notice]:
    """Each message as a notice that is no warning."""
    return [Notice(level="info", message=message) for message in messages]


def record_fallbacks(training: Training, values: Mapping[str, float]) -> Iterator[tuple[str, float, bool]]:
    """Adds an epoch's fallback shares to those of the training; yields each stage that had one, in what part of the
    epoch's steps, and whether it is the first one of the training."""
    for name, part in values.items():
        stage = name.removeprefix(FALLBACK)
        if stage != name and part > 0:
            is_first = stage not in training.fallbacks
            training.fallbacks[stage] = training.fallbacks.get(stage, 0.0) + part
            yield stage, part, is_first


def starting_notes(training: Training) -> list[str]:
    """What must be known of the weights that the training began with, each with whose they are."""
    return [f"{training.spec.role.capitalize()}: {note[:1].lower()}{note[1:]}" for note in training.notes]


def training_notices(training: Training) -> list[Notice]:
    """About the weights that the training began with and its shares, over all runs that carried it."""
    return [
        *infos(starting_notes(training)),
        *(_fallback(stage, epochs / training.epoch) for stage, epochs in training.fallbacks.items()),
    ]


def fallback_rates(training: Training) -> dict[str, float] | None:
    """By stage, over all epochs so far, the part of the steps in which its share took its fallback value; None under
    methods without a share that follows CKA."""
    stages = [name.removeprefix(FALLBACK) for name in training.last_measured if name.startswith(FALLBACK)]
    return {stage: training.fallbacks.get(stage, 0.0) / training.epoch for stage in stages} or None


def place(stage: str) -> str:
    """A stage of a classifier, or a level of a pyramid, in a sentence."""
    return f"level {stage}" if stage[:1] == "P" else f"stage {stage}"


def _fallback(stage: str, part: float) -> Notice:
    """Without the number, which differs from seed to seed; `fallback_rates` has it."""
    often = part >= OFTEN
    return Notice(
        level="warning" if often else "info",
        message=f"In {'most' if often else 'some'} steps the share of {place(stage)} took its fallback value, because "
        "CKA was undefined, near zero or negative.",
    )


def chance_notices(spec: RunSpec, result: RunResult) -> list[Notice]:
    """Warnings of a prepared teacher whose accuracy is no better than chance."""
    is_teacher = spec.training.role == "teacher" and spec.is_full
    if not is_teacher or not result.near_chance or result.guess_score is None:
        return []
    numbers = result.validation_score, result.validation_pictures, result.guess_score
    messages = [chance_sentence("The teacher", *numbers)]
    if spec.training.task == "detection":
        messages = [no_detector_sentence("The teacher", result.validation_score, result.validation_pictures)]
    if spec.training.recipe.epochs == 0:
        messages.append(WRONG_ORDER)
    return [Notice(level="warning", message=message) for message in messages]
